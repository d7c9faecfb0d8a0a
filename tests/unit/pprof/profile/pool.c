// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

static bool has_no_memory;
static size_t mapped_bytes, map_count, asked_count;
static bool (*may_take)(size_t size);

static void *counting_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    if (has_no_memory) return MAP_FAILED;
    mapped_bytes += size;
    map_count++;
    return mmap(at, size, protection, flags, fd, offset);
}

static int counting_munmap(void *at, size_t size) {
    mapped_bytes -= size;
    return munmap(at, size);
}

__attribute__((noipa)) static void *asking_map(size_t size) {
    if (may_take != NULL && !may_take(size)) return NULL;
    asked_count++;
    void *memory = counting_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                                 -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

#define reserve_map asking_map
#define mmap counting_mmap
#define munmap counting_munmap
#include "pprof/profile/pool.c"
#undef reserve_map
#undef mmap
#undef munmap

static int setup(void **state) {
    (void)state;
    has_no_memory = false;
    mapped_bytes = 0;
    map_count = asked_count = 0;
    return 0;
}

// Would catch: memory handed out twice, across a chunk's end, unaligned, or not zeroed.
static void test_pool__memory_is_zeroed_aligned_and_ones_own(void **state) {
    (void)state;
    struct pool pool = {0};
    enum { COUNT = 3000 };
    static unsigned char *all[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = 1 + i * 37 % 500;
        all[i] = pool_allocate(&pool, size);
        assert_non_null(all[i]);
        assert_int_equal((uintptr_t)all[i] % 16, 0);
        for (size_t k = 0; k < size; k++) assert_int_equal(all[i][k], 0);
        memset(all[i], (int)(i % 255) + 1, size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = 1 + i * 37 % 500;
        for (size_t k = 0; k < size; k++) assert_int_equal(all[i][k], i % 255 + 1);
    }
    pool_done(&pool);
    assert_int_equal(mapped_bytes, 0);
}

// Would catch: a mapping an allocation, or a small pool that takes megabytes.
static void test_pool__chunks_double_from_64_kib_to_1_mib(void **state) {
    (void)state;
    struct pool pool = {0};
    assert_non_null(pool_allocate(&pool, 1));
    assert_int_equal(pool.total_bytes, 64 << 10);
    for (int i = 0; i < 20 << 10; i++) assert_non_null(pool_allocate(&pool, 1008));
    assert_in_range(map_count, 22, 26);
    assert_int_equal(pool.size, 1 << 20);
    assert_int_equal(pool.total_bytes, mapped_bytes);
    pool_done(&pool);
    assert_int_equal(mapped_bytes, 0);
}

static void test_pool__a_large_request_gets_a_chunk_that_holds_it(void **state) {
    (void)state;
    struct pool pool = {0};
    static const size_t sizes[] = {(64 << 10) - 16, 64 << 10, (4 << 20) - 16, (4 << 20) + 1,
                                   10 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *memory = pool_allocate(&pool, sizes[i]);
        assert_non_null(memory);
        memory[0] = 'a';
        memory[sizes[i] - 1] = 'z';
    }
    pool_done(&pool);
    assert_int_equal(mapped_bytes, 0);
}

// A group without room but for the least chunk: what is asked for is what is charged.
static size_t room;
static bool has_only_so_much(size_t size) {
    return size <= room;
}

static void test_pool__takes_no_more_than_there_is_room_for(void **state) {
    (void)state;
    struct pool pool = {0};
    may_take = has_only_so_much;
    room = 64 << 10;
    for (int i = 0; i < 100; i++) assert_non_null(pool_allocate(&pool, 60 << 10));
    assert_int_equal(mapped_bytes, 100 * (64 << 10));
    assert_int_equal(asked_count, map_count);
    room = 0;
    assert_null(pool_allocate(&pool, 60 << 10));
    // What outlives the reader asks nobody, and is charged when it is touched.
    struct pool lasting = {.is_lasting = true};
    assert_non_null(pool_allocate(&lasting, 60 << 10));
    assert_int_equal(asked_count, map_count - 1);
    may_take = NULL;
    pool_done(&pool);
    pool_done(&lasting);
    assert_true(lasting.is_lasting);
    assert_int_equal(mapped_bytes, 0);
}

static void test_pool__the_limit_is_never_passed(void **state) {
    (void)state;
    struct pool pool = {.limit_bytes = 300 << 10};
    size_t count = 0;
    while (pool_allocate(&pool, 1000) != NULL) count++;
    assert_in_range(mapped_bytes, 64 << 10, 300 << 10);
    assert_in_range(count, 60, 300);
    assert_null(pool_allocate(&pool, 1 << 20));
    pool_done(&pool);
    assert_int_equal(pool.limit_bytes, 300 << 10);
    assert_non_null(pool_allocate(&pool, 1000));
    pool_done(&pool);
    assert_int_equal(mapped_bytes, 0);
}

// Would catch: a size that wraps around when the head of the chunk is added.
static void test_pool__a_huge_request_is_refused(void **state) {
    (void)state;
    struct pool pool = {.limit_bytes = 1 << 20};
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_null(pool_allocate(&pool, sizes[i]));
    }
    assert_int_equal(map_count, 0);
    assert_non_null(pool_allocate(&pool, 8));
    pool_done(&pool);
}

static void test_pool__without_memory_it_says_so_and_goes_on_later(void **state) {
    (void)state;
    struct pool pool = {0};
    has_no_memory = true;
    assert_null(pool_allocate(&pool, 8));
    assert_null(pool_copy_text(&pool, "abc", 3));
    has_no_memory = false;
    unsigned char *first = pool_allocate(&pool, 8);
    assert_non_null(first);
    first[0] = 42;
    has_no_memory = true;
    assert_null(pool_allocate(&pool, 1 << 20));
    assert_non_null(pool_allocate(&pool, 8));  // the chunk at hand still has room
    assert_int_equal(first[0], 42);
    pool_done(&pool);
    assert_int_equal(mapped_bytes, 0);
}

static void test_pool__a_text_is_copied_with_a_nul(void **state) {
    (void)state;
    struct pool pool = {0};
    char text[] = "abcdef";
    char *copy = pool_copy_text(&pool, text, 3);
    text[0] = 'x';
    assert_string_equal(copy, "abc");
    assert_string_equal(pool_copy_text(&pool, text, 0), "");
    pool_done(&pool);
    pool_done(&pool);
}
