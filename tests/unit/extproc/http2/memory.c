// SPDX-License-Identifier: Apache-2.0
#include "extproc/http2/memory.c"

static struct memory memory;

static int teardown(void **state) {
    (void)state;
    memory_done(&memory);
    return 0;
}

static void test_memory__what_was_given_back_is_used_again(void **state) {
    (void)state;
    if (HAS_ADDRESS_SANITIZER) return;  // keeps nothing then
    void *first = allocate(100, &memory), *second = allocate(100, &memory);
    assert_ptr_not_equal(first, second);
    release(first, &memory);
    assert_int_not_equal(memory.kept_bytes, 0);
    assert_ptr_equal(allocate(112, &memory), first);  // of the same class
    assert_int_equal(memory.kept_bytes, 0);
    release(first, &memory);
    void *other = allocate(113, &memory);  // of the next one
    assert_ptr_not_equal(other, first);
    release(other, &memory);
    release(second, &memory);
    release(NULL, &memory);
}

static void test_memory__a_block_holds_what_was_asked_for(void **state) {
    (void)state;
    for (size_t size = 0; size < 10000; size += 7) {
        uint8_t *content = allocate(size, &memory);
        assert_non_null(content);
        assert_int_equal((uintptr_t)content % _Alignof(max_align_t), 0);
        memset(content, 0xee, size);  // sanitizers look
        release(content, &memory);
        const uint8_t *zeros = allocate_zeros(1, size, &memory);
        for (size_t i = 0; i < size; i++) assert_int_equal(zeros[i], 0);
        release((void *)(uintptr_t)zeros, &memory);
    }
}

static void test_memory__a_block_keeps_its_content_when_it_grows(void **state) {
    (void)state;
    char *content = resize(NULL, 6, &memory);
    memcpy(content, "hello", 6);
    for (size_t size = 10; size < 20000; size = size * 3 / 2) {
        content = resize(content, size, &memory);
        assert_string_equal(content, "hello");
        memset(content + 6, 0xee, size - 6);
    }
    assert_string_equal(resize(content, 6, &memory), "hello");
    release(content, &memory);
}

// Would catch: a burst whose memory stays for ever, and large blocks that are kept.
static void test_memory__little_is_kept(void **state) {
    (void)state;
    enum { BLOCKS = 1000 };
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) blocks[i] = allocate(4000, &memory);
    for (size_t i = 0; i < BLOCKS; i++) release(blocks[i], &memory);
    assert_in_range(memory.kept_bytes, 0, KEPT_MOST_BYTES);
    memory_done(&memory);
    release(allocate(1 << 20, &memory), &memory);
    assert_int_equal(memory.kept_bytes, 0);
}

static void test_memory__a_size_that_overflows_is_refused(void **state) {
    (void)state;
    assert_null(allocate(SIZE_MAX - 8, &memory));
    assert_null(allocate_zeros(SIZE_MAX / 2, 3, &memory));
}
