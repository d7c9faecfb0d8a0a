// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/delta.c"

static struct store before, after;

static int setup(void **state) {
    (void)state;
    before = after = (struct store){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_done(&before);
    store_done(&after);
    return 0;
}

static void add(struct store *store, uintptr_t address, int64_t first, int64_t last) {
    struct sample_key key = {.addresses = &address, .depth = 1};
    const int64_t values[SAMPLE_VALUES] = {first, 0, 0, last};
    assert_int_equal(store_add(store, &key, values), STATUS_OK);
}

// The samples that are left are these, in this order.
static void assert_left(const uintptr_t *addresses, const int64_t (*values)[2], size_t count) {
    const struct sample *sample = after.first;
    const struct sample *last = NULL;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(sample);
        assert_int_equal(sample->key.addresses[0], addresses[i]);
        assert_int_equal(sample->values[0], values[i][0]);
        assert_int_equal(sample->values[3], values[i][1]);
        last = sample;
        sample = sample->next;
    }
    assert_null(sample);
    assert_ptr_equal(after.last, last);
}

// Would catch: a level that fell cut off at zero, one that vanished forgotten.
static void test_delta__it_is_after_minus_before_by_stack(void **state) {
    (void)state;
    add(&before, 1, 10, 5);
    add(&before, 2, 3, 3);
    add(&before, 3, 7, 0);
    add(&after, 1, 12, 2);
    add(&after, 2, 3, 3);
    add(&after, 4, 1, 1);
    assert_int_equal(delta_subtract(&after, &before), STATUS_OK);
    assert_left((const uintptr_t[]){1, 4, 3}, (const int64_t[][2]){{2, -3}, {1, 1}, {-7, 0}}, 3);
}

static void test_delta__nothing_happened_leaves_nothing(void **state) {
    (void)state;
    add(&before, 1, 10, 5);
    add(&after, 1, 10, 5);
    assert_int_equal(delta_subtract(&after, &before), STATUS_OK);
    assert_left(NULL, NULL, 0);
    assert_int_equal(delta_subtract(&after, &(struct store){0}), STATUS_OK);
}

static void test_delta__zeros_go_wherever_they_stand(void **state) {
    (void)state;
    for (uintptr_t i = 1; i <= 9; i++) add(&after, i, i % 3 == 0 ? 1 : 0, 0);
    delta_drop_zeros(&after);
    assert_left((const uintptr_t[]){3, 6, 9}, (const int64_t[][2]){{1, 0}, {1, 0}, {1, 0}}, 3);
    add(&after, 9, -1, 0);
    delta_drop_zeros(&after);
    assert_left((const uintptr_t[]){3, 6}, (const int64_t[][2]){{1, 0}, {1, 0}}, 2);
}

static void test_delta__out_of_memory_is_told(void **state) {
    (void)state;
    add(&before, 1, 1, 1);
    after.pool.limit_bytes = 1;
    assert_int_equal(delta_subtract(&after, &before), STATUS_NO_MEMORY);
}
