// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/heap.c"

#include <string.h>

// The callbacks are called by hand, as the allocator would, and the store is this test's own. (The
// real allocator has called them too, before: its samples are cleared away.)
static struct shared_store others;
static int64_t others_rate;

static int setup(void **state) {
    (void)state;
    others = store;
    others_rate = rate;
    store = (struct shared_store)SHARED_STORE_INIT(1 << 20);
    rate = 1 << 19;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_done(&store.store);
    store = others;
    rate = others_rate;
    return 0;
}

// A stack of code that is not the allocator's.
static void *const stack[] = {(void *)0x1001, (void *)0x2001};
static void *const other_stack[] = {(void *)0x3001};

static size_t rounded(size_t size) {
    return tc_nallocx != NULL ? tc_nallocx(size, 0) : size;
}

static const struct sample *only_sample(struct store *samples) {
    assert_int_equal(samples->sample_count, 1);
    assert_non_null(samples->first);
    return samples->first;
}

static int64_t value_of(struct store *samples, int value) {
    return only_sample(samples)->values[value];
}

static void test_heap__what_is_freed_is_no_longer_in_use_but_was_allocated(void **state) {
    (void)state;
    if (tc_nallocx == NULL) skip();
    void *record = on_alloc(NULL, 1 << 20, stack, 2);
    assert_ptr_equal(on_alloc(NULL, 1 << 20, stack, 2), record);
    on_free(record, 1 << 20);
    struct store samples = {0};
    assert_int_equal(collect_raw(&samples), STATUS_OK);
    assert_int_equal(value_of(&samples, HEAP_VALUE_ALLOC_OBJECTS), 2);
    assert_int_equal(value_of(&samples, HEAP_VALUE_ALLOC_BYTES), 2 * rounded(1 << 20));
    assert_int_equal(value_of(&samples, HEAP_VALUE_INUSE_OBJECTS), 1);
    assert_int_equal(value_of(&samples, HEAP_VALUE_INUSE_BYTES), rounded(1 << 20));
    const struct sample *sample = only_sample(&samples);
    assert_int_equal(sample->key.size_bytes, rounded(1 << 20));
    assert_int_equal(sample->key.depth, 2);
    assert_int_equal(sample->key.addresses[0], 0x1000);
    assert_int_equal(sample->key.addresses[1], 0x2000);
    store_done(&samples);
}

static void test_heap__sizes_and_stacks_are_kept_apart(void **state) {
    (void)state;
    if (tc_nallocx == NULL) skip();
    void *first = on_alloc(NULL, 4096, stack, 2);
    assert_ptr_not_equal(on_alloc(NULL, 8192, stack, 2), first);
    assert_ptr_not_equal(on_alloc(NULL, 4096, other_stack, 1), first);
    assert_ptr_equal(on_alloc(NULL, 4095, stack, 2), first);  // the same size class
    assert_int_equal(heap_source.count(NULL), 3);
}

// Go's formula: a sample of b bytes stands for 1/(1 - e^(-b/rate)) like it.
static void test_heap__a_sample_stands_for_all_that_the_sampler_missed(void **state) {
    (void)state;
    if (tc_nallocx == NULL) skip();
    on_alloc(NULL, 1 << 19, stack, 2);  // once the rate: 1/(1 - 1/e) = 1.58
    struct store samples = {0};
    for (int i = 1; i < 1000; i++) on_alloc(NULL, 1 << 19, stack, 2);
    assert_int_equal(heap_source.collect(&samples, NULL), STATUS_OK);
    assert_in_range(value_of(&samples, HEAP_VALUE_ALLOC_OBJECTS), 1581, 1582);
    assert_in_range(value_of(&samples, HEAP_VALUE_ALLOC_BYTES), INT64_C(1581) << 19,
                    INT64_C(1583) << 19);
    store_done(&samples);
    assert_true(fabs(weight_of(16) - 32768.5) < 0.01);
    assert_true(fabs(weight_of(1 << 30) - 1) < 1e-9);
    rate = 1;
    assert_true(weight_of(16) == 1);
}

static void test_heap__the_allocators_own_frames_are_cut(void **state) {
    (void)state;
    if (__start_google_malloc == NULL) skip();
    uintptr_t own = (uintptr_t)__start_google_malloc;
    const uintptr_t rows[][4] = {
        {own, own + 1, 0x1000, 0x2000},
        {0x5000, own, 0x1000, 0x2000},  // a helper outside the section, called from inside
        {0x1000, 0x2000, 0x3000, 0x4000},
        {own, own, own, own},
        {(uintptr_t)__stop_google_malloc, 0x1000, 0x2000, 0x3000},
    };
    static const uint32_t expected[] = {2, 2, 0, 0, 0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(allocator_depth(rows[i], 4), expected[i]);
    }
    // Far from the leaf it is somebody else's call: an allocation inside a new handler, say.
    uintptr_t deep[40] = {0};
    deep[30] = own;
    assert_int_equal(allocator_depth(deep, 40), 0);
}

static void test_heap__what_does_not_fit_is_counted_and_told_to_nobody(void **state) {
    (void)state;
    if (tc_nallocx == NULL) skip();
    store.store.pool.limit_bytes = 1;
    assert_null(on_alloc(NULL, 4096, stack, 2));
    assert_int_equal(heap_refused_count(), 1);
}

static void test_heap__the_text_has_go_s_head_and_records(void **state) {
    (void)state;
    const uintptr_t address = 0x1000;
    struct sample_key key = {.addresses = &address, .depth = 1, .size_bytes = 64};
    struct store samples = {0};
    assert_int_equal(store_add(&samples, &key, (const int64_t[SAMPLE_VALUES]){5, 320, 2, 128}),
                     STATUS_OK);
    struct buffer out = {0};
    assert_int_equal(heap_source.write_text_head(&samples, &out), STATUS_OK);
    assert_int_equal(heap_source.write_text_values(samples.first, &out), STATUS_OK);
    assert_true(bytes_equal(buffer_bytes(&out),
                            BYTES_LITERAL("heap profile: 2: 128 [5: 320] @ heap/1048576\n"
                                          "2: 128 [5: 320]")));
    buffer_done(&out);
    store_done(&samples);
}

static void test_heap__the_tail_is_lines_that_pprof_skips(void **state) {
    (void)state;
    struct buffer out = {0};
    assert_int_equal(heap_source.write_text_tail(&out), STATUS_OK);
    assert_int_equal(buffer_append_byte(&out, '\0'), STATUS_OK);
    const char *text = (const char *)out.data;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_true(*line == '#' || *line == '\n');
    }
    assert_non_null(strstr(text, "# MaxRSS = "));
    buffer_done(&out);
}

static void assert_rate(const char *heap_rate_text, const char *disabled, int64_t expected) {
    if (heap_rate_text != NULL) setenv("PPROF_HEAP_RATE", heap_rate_text, 1);
    if (disabled != NULL) setenv("DISABLE_PPROF", disabled, 1);
    assert_int_equal(pprof_heap_sampling_rate(), expected);
    unsetenv("PPROF_HEAP_RATE");
    unsetenv("DISABLE_PPROF");
}

static void test_heap__the_rate_comes_from_the_environment(void **state) {
    (void)state;
    if (tc_nallocx == NULL) skip();
    assert_rate("4096", NULL, 4096);
    assert_rate("0", NULL, 0);
    assert_rate("-5", NULL, 0);
    assert_rate(NULL, "", 0);
    assert_rate("4096", "false", 0);
    assert_rate(NULL, NULL, HEAP_DEFAULT_RATE);
}

// The whole way: with the real allocator, what is allocated here is found, and gone when freed.
static NOINLINE void *allocate_visibly(size_t size) {
    void *memory = malloc(size);
    __asm__ volatile("" : "+r"(memory));
    return memory;
}

static int64_t in_use_of(size_t size) {
    struct store samples = {0};
    assert_int_equal(collect_raw(&samples), STATUS_OK);
    int64_t objects = 0;
    for (const struct sample *s = samples.first; s != NULL; s = s->next) {
        if (s->key.size_bytes == size) objects += s->values[HEAP_VALUE_INUSE_OBJECTS];
    }
    store_done(&samples);
    return objects;
}

static void test_heap__real_allocations_are_found_while_they_live(void **state) {
    (void)state;
    if (tc_nallocx == NULL) skip();
    enum { COUNT = 40, SIZE = 9 << 20 };  // eighteen times the mean distance: none is missed
    void *all[COUNT];
    size_t size = rounded(SIZE);
    for (int i = 0; i < COUNT; i++) all[i] = allocate_visibly(SIZE);
    assert_int_equal(in_use_of(size), COUNT);
    for (int i = 0; i < COUNT; i += 2) free(all[i]);
    assert_int_equal(in_use_of(size), COUNT / 2);
    for (int i = 1; i < COUNT; i += 2) free(all[i]);
    assert_int_equal(in_use_of(size), 0);
}
