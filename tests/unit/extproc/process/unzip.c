// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/unzip.c"

#include <string.h>

#include "tests/unit/extproc/process/compress.h"

static struct buffer plain;

static int teardown(void **state) {
    (void)state;
    buffer_done(&plain);
    plain = (struct buffer){0};
    return 0;
}

enum { GZIP = 31, ZLIB = 15, RAW = -15 };

// In pieces of `step` bytes, into room for `room_bytes` at a time. Returns what ended it.
static enum status read_in_steps(const uint8_t *bytes, size_t length, size_t step,
                                 size_t room_bytes, size_t most_bytes) {
    uint8_t room[64];
    struct bytes part;
    enum status status = STATUS_TRUNCATED;
    struct unzip *unzip = unzip_new(most_bytes);
    assert_non_null(unzip);
    plain.len = 0;
    for (size_t start = 0; start < length && status == STATUS_TRUNCATED; start += step) {
        size_t rest = length - start, piece_bytes = rest < step ? rest : step;
        uint8_t *piece = malloc(piece_bytes);
        assert_non_null(piece);
        memcpy(piece, bytes + start, piece_bytes);
        unzip_add(unzip, bytes_of(piece, piece_bytes));
        while ((status = unzip_next(unzip, room, room_bytes, &part)) == STATUS_OK) {
            assert_true(part.len != 0 && part.len <= room_bytes);
            assert_int_equal(buffer_append(&plain, part), STATUS_OK);
        }
        free(piece);
    }
    unzip_free(unzip);
    return status;
}

static void assert_plain(const uint8_t *bytes, size_t length, const char *want) {
    for (size_t step = 1; step <= length; step++) {
        for (size_t room_bytes = 1; room_bytes <= 64; room_bytes += 21) {
            enum status status = read_in_steps(bytes, length, step, room_bytes, 1000);
            assert_int_equal(status, STATUS_TRUNCATED);
            assert_int_equal(plain.len, strlen(want));
            if (plain.len != 0) assert_memory_equal(plain.data, want, plain.len);
        }
    }
}

static const char text[] = "a text a text a text that is a little longer than the room there is";

static void test_unzip__reads_each_format_however_it_is_cut(void **state) {
    (void)state;
    uint8_t bytes[200];
    static const int formats[] = {GZIP, ZLIB, RAW};
    for (size_t i = 0; i < 3; i++) {
        size_t length = compress_text(formats[i], text, sizeof(text) - 1, bytes, sizeof(bytes));
        assert_plain(bytes, length, text);
        assert_plain(bytes, compress_text(formats[i], "", 0, bytes, sizeof(bytes)), "");
    }
}

// RFC 1952 section 2.2: "A gzip file consists of a series of members."
static void test_unzip__members_follow_each_other(void **state) {
    (void)state;
    uint8_t bytes[200];
    size_t length = compress_text(GZIP, "one, ", 5, bytes, sizeof(bytes));
    length += compress_text(GZIP, "", 0, bytes + length, sizeof(bytes) - length);
    length += compress_text(GZIP, "two", 3, bytes + length, sizeof(bytes) - length);
    assert_plain(bytes, length, "one, two");
}

// Would catch: usage that is lost because a server pads its gzip.
static void test_unzip__what_is_no_member_behind_one_is_ignored(void **state) {
    (void)state;
    uint8_t bytes[200] = {0};
    size_t length = compress_text(GZIP, text, sizeof(text) - 1, bytes, sizeof(bytes) - 8);
    memcpy(bytes + length, "\0\0\x1f\x8b\x1f\0\0", 8);
    assert_plain(bytes, length + 8, text);
}

// What came before it was cut is there.
static void test_unzip__a_cut_body_is_no_error(void **state) {
    (void)state;
    uint8_t bytes[200];
    size_t length = compress_text(GZIP, text, sizeof(text) - 1, bytes, sizeof(bytes));
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(read_in_steps(bytes, cut, 7, 64, 1000), STATUS_TRUNCATED);
        assert_true(plain.len <= sizeof(text) - 1);
    }
}

static void test_unzip__what_breaks_the_format_is_said(void **state) {
    (void)state;
    uint8_t bytes[200];
    size_t length = compress_text(GZIP, text, sizeof(text) - 1, bytes, sizeof(bytes));
    bytes[length - 5] ^= 1;  // the check sum
    assert_int_equal(read_in_steps(bytes, length, 3, 64, 1000), STATUS_MALFORMED);
    static const char *const bad[] = {"no gzip at all", "\x1f\x8c", "\x78\x00", "\x07"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_in_steps((const uint8_t *)bad[i], strlen(bad[i]) + 1, 1, 64, 1000),
                         STATUS_MALFORMED);
    }
}

static void test_unzip__no_more_than_the_limit_is_made(void **state) {
    (void)state;
    uint8_t bytes[2000];
    static char zeros[100000];
    size_t length = compress_text(GZIP, zeros, sizeof(zeros), bytes, sizeof(bytes));
    assert_int_equal(read_in_steps(bytes, length, 2000, 64, 99999), STATUS_TOO_LARGE);
    assert_true(plain.len <= 99999);
    assert_int_equal(read_in_steps(bytes, length, 2000, 64, 100000), STATUS_TRUNCATED);
    assert_int_equal(plain.len, 100000);
}

static void test_unzip__free_accepts_null_and_the_unused(void **state) {
    (void)state;
    unzip_free(NULL);
    unzip_free(unzip_new(1));
}
