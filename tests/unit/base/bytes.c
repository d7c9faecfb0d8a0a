// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

// After this many more calls realloc fails; SIZE_MAX: never.
static size_t reallocs_left = SIZE_MAX;
static size_t realloc_count;

static void *failing_realloc(void *old, size_t size) {
    if (reallocs_left == 0) return NULL;
    if (reallocs_left != SIZE_MAX) reallocs_left--;
    realloc_count++;
    return realloc(old, size);
}

#define realloc failing_realloc
#include "base/bytes.c"
#undef realloc

static int setup(void **state) {
    (void)state;
    reallocs_left = SIZE_MAX;
    realloc_count = 0;
    return 0;
}

static void assert_content(const struct buffer *buffer, const char *expected) {
    assert_int_equal(buffer->len, strlen(expected));
    if (buffer->len != 0) assert_memory_equal(buffer->data, expected, buffer->len);
}

static void test_bytes__empty_ranges_are_equal_and_start_everything(void **state) {
    (void)state;
    struct bytes text = BYTES_LITERAL("abc");
    assert_true(bytes_equal(BYTES_EMPTY, bytes_of("x", 0)));
    assert_false(bytes_equal(BYTES_EMPTY, text));
    assert_true(bytes_start_with(text, BYTES_EMPTY));
    assert_true(bytes_start_with(BYTES_EMPTY, BYTES_EMPTY));
    assert_false(bytes_start_with(BYTES_EMPTY, text));
}

static void test_bytes__a_prefix_is_not_equal_but_a_start(void **state) {
    (void)state;
    assert_false(bytes_equal(BYTES_LITERAL("ab"), BYTES_LITERAL("abc")));
    assert_true(bytes_start_with(BYTES_LITERAL("abc"), BYTES_LITERAL("ab")));
    assert_false(bytes_start_with(BYTES_LITERAL("ab"), BYTES_LITERAL("abc")));
    assert_false(bytes_start_with(BYTES_LITERAL("abc"), BYTES_LITERAL("b")));
}

// Would catch: folding by `| 0x20`, which makes '@' and '`' the same.
static void test_bytes__case_is_ignored_for_ascii_letters_only(void **state) {
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            uint8_t left = (uint8_t)a;
            uint8_t right = (uint8_t)b;
            bool is_letter = (a >= 'A' && a <= 'Z') || (a >= 'a' && a <= 'z');
            bool is_expected = a == b || (is_letter && (a ^ b) == 0x20);
            bool is_equal = bytes_equal_ignoring_case(bytes_of(&left, 1), bytes_of(&right, 1));
            assert_int_equal(is_equal, is_expected);
        }
    }
    assert_false(bytes_equal_ignoring_case(BYTES_LITERAL("ab"), BYTES_LITERAL("abc")));
}

// Would catch: content lost when the memory moves, and growth that is not amortised.
static void test_bytes__appending_byte_by_byte_keeps_all_and_grows_seldom(void **state) {
    (void)state;
    struct buffer buffer = {0};
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(buffer_append_byte(&buffer, (uint8_t)(i * 7)), STATUS_OK);
    }
    assert_int_equal(buffer.len, 100000);
    for (size_t i = 0; i < buffer.len; i++) assert_int_equal(buffer.data[i], (uint8_t)(i * 7));
    assert_in_range(realloc_count, 1, 20);
    buffer_done(&buffer);
}

static void test_bytes__the_limit_is_reached_and_not_passed(void **state) {
    (void)state;
    struct buffer buffer = {.limit = 5};
    assert_int_equal(buffer_append_text(&buffer, "12345"), STATUS_OK);
    assert_int_equal(buffer_append_byte(&buffer, '6'), STATUS_TOO_LARGE);
    assert_int_equal(buffer_append_format(&buffer, "%d", 6), STATUS_TOO_LARGE);
    assert_int_equal(buffer_append(&buffer, BYTES_EMPTY), STATUS_OK);
    assert_content(&buffer, "12345");
    buffer_remove_front(&buffer, 2);
    assert_int_equal(buffer_append_text(&buffer, "67"), STATUS_OK);
    assert_content(&buffer, "34567");
    buffer_done(&buffer);
}

// Up to a thousand bytes, in place.
static uint8_t thousand[1000];
static size_t resized_from, resized_to;
static unsigned resize_count;
static void *resize_thousand(void *data, size_t from, size_t to) {
    assert_ptr_equal(data, from == 0 ? NULL : thousand);
    resized_from = from;
    resized_to = to;
    resize_count++;
    return to > sizeof thousand ? NULL : thousand;
}

static void test_bytes__memory_may_come_from_elsewhere_and_goes_back(void **state) {
    (void)state;
    struct buffer buffer = {.resize = resize_thousand};
    buffer_done(&buffer);
    assert_int_equal(resize_count, 0);  // there was nothing
    uint8_t *room;
    assert_int_equal(buffer_reserve(&buffer, 600, &room), STATUS_OK);
    assert_ptr_equal(room, thousand);
    assert_int_equal(resized_to, 600);
    buffer.len = 600;
    assert_int_equal(buffer_append_byte(&buffer, 1), STATUS_NO_MEMORY);
    assert_int_equal(resized_from, 600);
    assert_int_equal(resized_to, 1200);
    assert_int_equal(buffer.len, 600);
    assert_int_equal(buffer.capacity, 600);
    buffer_done(&buffer);
    assert_int_equal(resized_from, 600);
    assert_int_equal(resized_to, 0);
    assert_int_equal(resize_count, 3);
    assert_ptr_equal(buffer.resize, resize_thousand);
    assert_null(buffer.data);
}

// Would catch: `len + extra` computed before it is compared.
static void test_bytes__a_huge_request_is_refused_not_wrapped_around(void **state) {
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append_text(&buffer, "abc"), STATUS_OK);
    uint8_t *room = NULL;
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX, &room), STATUS_TOO_LARGE);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 2, &room), STATUS_TOO_LARGE);
    assert_null(room);
    assert_content(&buffer, "abc");
    buffer_done(&buffer);
}

static void test_bytes__reserving_leaves_the_length_and_gives_writable_room(void **state) {
    (void)state;
    struct buffer buffer = {0};
    uint8_t *room = NULL;
    assert_int_equal(buffer_reserve(&buffer, 0, &room), STATUS_OK);
    assert_non_null(room);
    assert_int_equal(buffer_append_text(&buffer, "ab"), STATUS_OK);
    assert_int_equal(buffer_reserve(&buffer, 1000, &room), STATUS_OK);
    assert_ptr_equal(room, buffer.data + 2);
    memset(room, 'x', 1000);
    assert_int_equal(buffer.len, 2);
    buffer_done(&buffer);
}

// Would catch: a length, pointer or capacity changed before the memory is there.
static void test_bytes__without_memory_nothing_changes_and_it_goes_on_later(void **state) {
    (void)state;
    static const char long_text[200] = {[0 ... 198] = 'y'};
    struct buffer buffer = {0};
    reallocs_left = 0;
    assert_int_equal(buffer_append_text(&buffer, "abc"), STATUS_NO_MEMORY);
    assert_int_equal(buffer.len, 0);
    assert_null(buffer.data);
    reallocs_left = 1;
    assert_int_equal(buffer_append_text(&buffer, "abc"), STATUS_OK);
    assert_int_equal(buffer_append_text(&buffer, long_text), STATUS_NO_MEMORY);
    assert_int_equal(buffer_append_format(&buffer, "%s", long_text), STATUS_NO_MEMORY);
    assert_content(&buffer, "abc");
    reallocs_left = SIZE_MAX;
    assert_int_equal(buffer_append_text(&buffer, "def"), STATUS_OK);
    assert_content(&buffer, "abcdef");
    buffer_done(&buffer);
}

// Would catch: the NUL of vsnprintf counted, or a text cut at the old capacity.
static void test_bytes__formatted_text_is_whole_and_has_no_nul(void **state) {
    (void)state;
    struct buffer buffer = {0};
    char expected[600];
    memset(expected, ' ', sizeof expected);
    for (int width = 1; width < 300; width += 13) {
        buffer.len = 0;
        assert_int_equal(buffer_append_text(&buffer, "<"), STATUS_OK);
        assert_int_equal(buffer_append_format(&buffer, "%*d", width, 7), STATUS_OK);
        assert_int_equal(buffer_append_text(&buffer, ">"), STATUS_OK);
        assert_int_equal(buffer.len, width + 2);
        assert_memory_equal(buffer.data + 1, expected, (size_t)width - 1);
        assert_memory_equal(buffer.data + width, "7>", 2);
    }
    buffer_done(&buffer);
}

static void test_bytes__after_done_it_is_empty_with_its_limit_and_usable(void **state) {
    (void)state;
    struct buffer buffer = {.limit = 100};
    assert_int_equal(buffer_append_text(&buffer, "abc"), STATUS_OK);
    buffer_done(&buffer);
    assert_int_equal(buffer_bytes(&buffer).len, 0);
    assert_int_equal(buffer.limit, 100);
    assert_int_equal(buffer_append_text(&buffer, "d"), STATUS_OK);
    assert_content(&buffer, "d");
    buffer_done(&buffer);
    buffer_done(NULL);
}

static void test_bytes__removing_from_the_front_moves_the_rest(void **state) {
    (void)state;
    struct buffer buffer = {0};
    buffer_remove_front(&buffer, 0);
    assert_int_equal(buffer_append_text(&buffer, "abcdef"), STATUS_OK);
    buffer_remove_front(&buffer, 0);
    assert_content(&buffer, "abcdef");
    buffer_remove_front(&buffer, 4);
    assert_content(&buffer, "ef");
    buffer_remove_front(&buffer, 2);
    assert_content(&buffer, "");
    buffer_done(&buffer);
}
