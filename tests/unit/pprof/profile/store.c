// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/store.c"

static const uintptr_t stack[] = {0x401000, 0x402000, 0x403000};
static const int64_t one[SAMPLE_VALUES] = {1, 10, 100, 1000};

static struct sample_key key_of(const uintptr_t *addresses, uint32_t depth) {
    return (struct sample_key){.addresses = addresses, .depth = depth};
}

static size_t length_of(const struct store *store) {
    size_t count = 0;
    const struct sample *last = NULL;
    for (const struct sample *s = store->first; s != NULL; s = s->next) {
        count++;
        last = s;
    }
    assert_ptr_equal(last, store->last);
    assert_int_equal(count, store->sample_count);
    return count;
}

static void test_store__equal_keys_are_one_sample_whose_values_add_up(void **state) {
    (void)state;
    struct store store = {0};
    struct sample_key key = key_of(stack, 3);
    uintptr_t same[] = {0x401000, 0x402000, 0x403000};
    struct sample_key equal = key_of(same, 3);
    static const int64_t less[SAMPLE_VALUES] = {-3, 0, INT64_C(1) << 40, 0};
    assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    assert_int_equal(store_add(&store, &equal, one), STATUS_OK);
    assert_int_equal(store_add(&store, &key, less), STATUS_OK);
    assert_int_equal(length_of(&store), 1);
    const struct sample *sample = store.first;
    assert_int_equal(sample->values[0], -1);
    assert_int_equal(sample->values[1], 20);
    assert_true(sample->values[2] == 200 + (INT64_C(1) << 40));
    assert_int_equal(sample->values[3], 2000);
    store_done(&store);
}

// Would catch: any part of the key left out of the comparison.
static void test_store__keys_that_differ_in_one_part_are_apart(void **state) {
    (void)state;
    static const uintptr_t other_leaf[] = {0x401001, 0x402000, 0x403000};
    static const uintptr_t other_root[] = {0x401000, 0x402000, 0x403001};
    static const uintptr_t swapped[] = {0x402000, 0x401000, 0x403000};
    struct sample_key keys[] = {
        key_of(stack, 3),
        key_of(stack, 2),
        key_of(stack, 1),
        key_of(stack + 1, 2),
        key_of(other_leaf, 3),
        key_of(other_root, 3),
        key_of(swapped, 3),
        {.addresses = stack, .depth = 3, .labels = 1},
        {.addresses = stack, .depth = 3, .size_bytes = 1},
        {.addresses = stack, .depth = 3, .size_bytes = UINT64_C(1) << 40},
        {.addresses = stack, .depth = 3, .has_names = true},
        {.addresses = stack, .depth = 3, .state = "running"},
        {.addresses = stack, .depth = 3, .state = "sleep"},
        {.addresses = stack, .depth = 3, .thread = "a"},
        {.addresses = stack, .depth = 3, .thread = "fifteen letters"},
        {.addresses = stack, .depth = 3, .thread = "fifteen letterz"},
    };
    struct store store = {0};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(keys); i++) {
            assert_int_equal(store_add(&store, &keys[i], one), STATUS_OK);
        }
    }
    assert_int_equal(length_of(&store), COUNT_OF(keys));
    // Their hashes differ too, and would hide it.
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        for (size_t k = 0; k < COUNT_OF(keys); k++) {
            assert_int_equal(is_equal(&keys[i], &keys[k]), i == k);
        }
    }
    for (const struct sample *s = store.first; s != NULL; s = s->next) {
        assert_int_equal(s->values[0], 2);
    }
    store_done(&store);
}

// A thread that has not begun has no frame.
static void test_store__a_stack_may_be_empty(void **state) {
    (void)state;
    struct store store = {0};
    struct sample_key key = {.thread = "a"};
    assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    assert_int_equal(length_of(&store), 1);
    store_done(&store);
}

static void test_store__the_keys_addresses_are_copied(void **state) {
    (void)state;
    struct store store = {0};
    uintptr_t mine[] = {1, 2, 3};
    struct sample_key key = key_of(mine, 3);
    assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    mine[1] = 99;
    assert_int_equal(store.first->key.addresses[1], 2);
    assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    assert_int_equal(length_of(&store), 2);
    store_done(&store);
}

static struct sample_key numbered_key(uintptr_t room[4], size_t number) {
    room[0] = 0x400000 + number * 16;
    for (size_t i = 1; i < 4; i++) room[i] = 0x500000 + number % (i * 7) * 8;
    return key_of(room, 4);
}

// Would catch: samples lost, doubled, moved or out of order when the slots grow.
static void test_store__ten_thousand_samples_stay_where_they_are_and_in_order(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    static struct sample *places[COUNT];
    struct store store = {0};
    uintptr_t room[4];
    for (size_t i = 0; i < COUNT; i++) {
        struct sample_key key = numbered_key(room, i);
        places[i] = store_find(&store, &key);
        assert_non_null(places[i]);
        places[i]->values[0] = (int64_t)i;
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct sample_key key = numbered_key(room, i);
        assert_ptr_equal(store_find(&store, &key), places[i]);
    }
    assert_int_equal(length_of(&store), COUNT);
    size_t number = 0;
    for (const struct sample *s = store.first; s != NULL; s = s->next) {
        assert_int_equal(s->values[0], number++);
    }
    store_done(&store);
}

// Would catch: a hash that piles up addresses which differ in few bits, so that adding turns
// linear.
static void test_store__close_addresses_spread_over_the_slots(void **state) {
    (void)state;
    struct store store = {0};
    uintptr_t room[4];
    for (size_t i = 0; i < 10000; i++) {
        struct sample_key key = numbered_key(room, i);
        assert_non_null(store_find(&store, &key));
    }
    size_t run = 0;
    size_t longest = 0;
    for (uint32_t i = 0; i < store.slot_count; i++) {
        run = store.slots[i] != NULL ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    assert_in_range(longest, 1, 200);
    store_done(&store);
}

// Would catch: half a sample in the list, or a stack that is known refused for want of memory.
static void test_store__at_the_pools_limit_known_stacks_still_add_up(void **state) {
    (void)state;
    struct store store = {.pool.limit_bytes = 256 << 10};
    uintptr_t room[4];
    size_t added = 0;
    for (;; added++) {
        struct sample_key key = numbered_key(room, added);
        if (store_add(&store, &key, one) != STATUS_OK) break;
    }
    assert_in_range(added, 100, 10000);
    assert_int_equal(length_of(&store), added);
    for (size_t i = 0; i < added; i++) {
        struct sample_key key = numbered_key(room, i);
        assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    }
    struct sample_key refused = numbered_key(room, added);
    assert_int_equal(store_add(&store, &refused, one), STATUS_NO_MEMORY);
    assert_int_equal(length_of(&store), added);
    for (const struct sample *s = store.first; s != NULL; s = s->next) {
        assert_int_equal(s->values[0], 2);
    }
    store_done(&store);
}

static void test_store__known_stacks_add_up_where_the_slots_cannot_grow(void **state) {
    (void)state;
    struct store store = {0};
    uintptr_t room[4];
    while (store.slot_count == 0 || store.sample_count < store.slot_count / 4 * 3) {
        struct sample_key key = numbered_key(room, store.sample_count);
        assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    }
    store.pool.limit_bytes = 1;
    store.pool.used = store.pool.size;
    struct sample_key known = numbered_key(room, 0);
    assert_int_equal(store_add(&store, &known, one), STATUS_OK);
    assert_int_equal(store.first->values[0], 2);
    store_done(&store);
}

static void test_store__without_any_memory_nothing_is_added(void **state) {
    (void)state;
    struct store store = {.pool.limit_bytes = 1};
    struct sample_key key = key_of(stack, 3);
    assert_null(store_find(&store, &key));
    assert_int_equal(store_add(&store, &key, one), STATUS_NO_MEMORY);
    assert_int_equal(length_of(&store), 0);
    store_done(&store);
}

static void test_store__after_done_it_is_empty_and_usable(void **state) {
    (void)state;
    struct store store = {.pool.limit_bytes = 1 << 20};
    struct sample_key key = key_of(stack, 3);
    assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    store_done(&store);
    assert_int_equal(length_of(&store), 0);
    assert_int_equal(store.pool.limit_bytes, 1 << 20);
    assert_int_equal(store_add(&store, &key, one), STATUS_OK);
    assert_int_equal(store.first->values[0], 1);
    store_done(&store);
}
