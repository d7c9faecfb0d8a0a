// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/stack.c"

#include "base/attributes.h"
#include "pprof/symbol/symbol.h"

static int setup_all(void **state) {
    (void)state;
    return thread_enter_main() == STATUS_OK ? 0 : -1;
}

static void assert_named(uintptr_t address, const char *name) {
    struct symbol_line lines[SYMBOL_LINES_MOST];
    size_t count = symbol_resolve(address, lines);
    assert_true(count != 0);
    assert_string_equal(lines[count - 1].function, name);
}

static NOINLINE uint32_t capture_here(uintptr_t leaf, uintptr_t *addresses) {
    uint32_t depth = stack_capture(__builtin_frame_address(0), leaf, addresses);
    __asm__ volatile("" : : : "memory");
    return depth;
}

static NOINLINE uint32_t call_capture(uintptr_t leaf, uintptr_t *addresses) {
    uint32_t depth = capture_here(leaf, addresses);
    __asm__ volatile("" : : : "memory");  // no tail call
    return depth;
}

static void test_stack__the_leaf_comes_first_then_the_callers_of_the_frame(void **state) {
    (void)state;
    uintptr_t addresses[STACK_DEPTH];
    uint32_t depth = call_capture((uintptr_t)stack_capture, addresses);
    assert_true(depth >= 3);
    assert_int_equal(addresses[0], (uintptr_t)stack_capture);
    assert_named(addresses[1], "call_capture");
    assert_named(addresses[2], __func__);
    uint32_t less = call_capture(0, addresses);
    assert_int_equal(less, depth - 1);
    assert_named(addresses[0], "call_capture");
}

// Would catch: a write behind the array, with or without a leaf.
static NOINLINE uint32_t capture_below(int frames, uintptr_t leaf, uintptr_t *addresses) {
    uint32_t depth = frames == 0 ? capture_here(leaf, addresses)
                                 : capture_below(frames - 1, leaf, addresses);
    __asm__ volatile("" : : : "memory");
    return depth;
}

static void test_stack__a_deep_one_fills_the_array_and_no_more(void **state) {
    (void)state;
    uintptr_t addresses[STACK_DEPTH + 1];
    addresses[STACK_DEPTH] = 0xeeee;
    assert_int_equal(capture_below(200, 0x1234, addresses), STACK_DEPTH);
    assert_int_equal(addresses[0], 0x1234);
    assert_int_equal(capture_below(200, 0, addresses), STACK_DEPTH);
    assert_int_equal(addresses[STACK_DEPTH], 0xeeee);
}

static void test_stack__a_thread_that_is_not_listed_has_only_the_leaf(void **state) {
    (void)state;
    struct thread *self = thread_self;
    uintptr_t addresses[STACK_DEPTH];
    thread_self = NULL;
    uint32_t with_leaf = call_capture(0x1234, addresses);
    uint32_t without = call_capture(0, addresses);
    thread_self = self;
    assert_int_equal(with_leaf, 1);
    assert_int_equal(without, 0);
}

static struct shared_store shared;

static int setup(void **state) {
    (void)state;
    shared = (struct shared_store)SHARED_STORE_INIT(1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_done(&shared.store);
    return 0;
}

static struct sample_key key_of(const uintptr_t *address) {
    return (struct sample_key){.addresses = address, .depth = 1};
}

static void test_stack__a_shared_store_adds_up_and_is_copied(void **state) {
    (void)state;
    const uintptr_t addresses[] = {1, 2};
    struct sample_key first = key_of(&addresses[0]);
    struct sample_key second = key_of(&addresses[1]);
    shared_store_add(&shared, &first, 1, 10);
    shared_store_add(&shared, &second, 2, 20);
    shared_store_add(&shared, &first, 3, 30);
    struct store copy = {0};
    assert_int_equal(shared_store_copy(&shared, &copy), STATUS_OK);
    assert_int_equal(shared_store_copy(&shared, &copy), STATUS_OK);  // it is added
    shared_store_add(&shared, &first, 100, 100);
    assert_int_equal(copy.sample_count, 2);
    assert_int_equal(copy.first->values[0], 8);
    assert_int_equal(copy.first->values[1], 80);
    assert_int_equal(copy.last->values[1], 40);
    store_done(&copy);
}

static void test_stack__an_empty_one_is_copied_too(void **state) {
    (void)state;
    struct store copy = {0};
    assert_int_equal(shared_store_copy(&shared, &copy), STATUS_OK);
    assert_int_equal(copy.sample_count, 0);
    const struct sample *first;
    assert_int_equal(shared_store_list(&shared, &first), 0);
}

static void test_stack__what_does_not_fit_is_counted_and_the_rest_goes_on(void **state) {
    (void)state;
    uintptr_t address = 1;
    struct sample_key known = key_of(&(const uintptr_t){1});
    while (shared_store_refused(&shared) < 3) {
        struct sample_key key = key_of(&address);
        shared_store_add(&shared, &key, 1, 0);
        address++;
    }
    shared_store_add(&shared, &known, 1, 0);
    assert_int_equal(shared_store_refused(&shared), 3);
    assert_int_equal(shared.store.first->values[0], 2);
    struct store copy = {.pool.limit_bytes = 1};
    assert_int_equal(shared_store_copy(&shared, &copy), STATUS_NO_MEMORY);
}

enum { ADDERS = 4, ADDITIONS = 20000, DISTINCT = 500 };

static void *add_many(void *unused) {
    for (uintptr_t i = 0; i < ADDITIONS; i++) {
        uintptr_t address = i % DISTINCT + 1;
        struct sample_key key = key_of(&address);
        shared_store_add(&shared, &key, 1, 2);
    }
    return unused;
}

// Readers walk the list without the lock while it grows: ThreadSanitizer watches.
static void test_stack__threads_add_while_another_copies(void **state) {
    (void)state;
    pthread_t threads[ADDERS];
    for (int i = 0; i < ADDERS; i++) pthread_create(&threads[i], NULL, add_many, NULL);
    int64_t last = 0;
    for (int i = 0; i < 20; i++) {
        struct store copy = {0};
        assert_int_equal(shared_store_copy(&shared, &copy), STATUS_OK);
        int64_t sum = 0;
        for (const struct sample *s = copy.first; s != NULL; s = s->next) sum += s->values[0];
        assert_true(sum >= last);  // counters never go back
        last = sum;
        store_done(&copy);
    }
    for (int i = 0; i < ADDERS; i++) pthread_join(threads[i], NULL);
    const struct sample *sample;
    assert_int_equal(shared_store_list(&shared, &sample), DISTINCT);
    int64_t sum = 0;
    for (; sample != NULL; sample = sample->next) sum += shared_sample_read(sample, 1);
    assert_int_equal(sum, ADDERS * ADDITIONS * 2);
}
