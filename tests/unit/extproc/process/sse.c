// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/sse.c"

#include <stdlib.h>

// All data lines of a stream, each behind a '|'.
struct log {
    struct buffer text;
    uint64_t skipped;
};

static void drain(struct sse *sse, struct log *log) {
    struct bytes data;
    while (sse_next(sse, &data)) {
        assert_int_equal(buffer_append_byte(&log->text, '|'), STATUS_OK);
        assert_int_equal(buffer_append(&log->text, data), STATUS_OK);
    }
}

// A piece in memory of its own, gone when the next one comes.
static void add_piece(struct sse *sse, const char *text, size_t length, struct log *log) {
    uint8_t *piece = malloc(length + 1);
    assert_non_null(piece);
    memcpy(piece, text, length);
    sse_add(sse, bytes_of(piece, length));
    drain(sse, log);
    free(piece);
}

// The stream in pieces that end at the given offsets (SIZE_MAX: none).
static struct log read_in_pieces(const char *text, size_t length, size_t cut, size_t other_cut,
                                 size_t limit) {
    struct sse sse;
    struct log log = {.text = {0}};
    size_t start = 0;
    sse_init(&sse, limit);
    for (size_t end = 0; end <= length; end++) {
        if (end != cut && end != other_cut && end != length) continue;
        add_piece(&sse, text + start, end - start, &log);
        start = end;
    }
    sse_end(&sse);
    drain(&sse, &log);
    log.skipped = sse.skipped_count;
    sse_done(&sse);
    return log;
}

static void assert_stream(const char *text, const char *want) {
    struct log log = read_in_pieces(text, strlen(text), SIZE_MAX, SIZE_MAX, 1000);
    assert_int_equal(log.text.len, strlen(want));
    if (log.text.len != 0) assert_memory_equal(log.text.data, want, log.text.len);
    assert_int_equal(log.skipped, 0);
    buffer_done(&log.text);
}

static void test_sse__hands_out_data_lines_only(void **state) {
    (void)state;
    assert_stream("data: a\n\ndata:b\n\n", "|a|b");
    assert_stream(": comment\nevent: data: x\ndata: a\nid: 1\nretry: 5\n\n", "|a");
    assert_stream("data:  two\ndata:\ndata: \n", "| two||");
    assert_stream("Data: a\n data: b\ndata : c\ndat: d\ndata\n", "");
    assert_stream("", "");
    assert_stream("\n\r\n\r", "");
}

static void test_sse__takes_each_kind_of_line_end(void **state) {
    (void)state;
    assert_stream("data: a\r\ndata: b\r\n\r\n", "|a|b");
    assert_stream("data: a\rdata: b\r\r", "|a|b");
    assert_stream("data: a\rdata: b\ndata: c\r\n", "|a|b|c");
}

static void test_sse__a_last_line_needs_no_end(void **state) {
    (void)state;
    assert_stream("data: a\ndata: b", "|a|b");
    assert_stream("data: a\ndata:", "|a|");
    assert_stream("data: a\ndat", "|a");
}

static const char mixed[] = ": hi\r\ndata: {\"a\":1}\r\n\r\nevent: x\rdata:{\"b\":\"\xc3\xa4\"}\r\r"
                            "data: [DONE]\n\ndata:\n\ndata: 0123456789\ndata: 012345678\n"
                            "id: 0123456789abcdef\ndata: last";

// The property that matters most: where the pieces are cut changes nothing. Two cuts at every pair
// of offsets, once without a line over the limit and once with some.
static void test_sse__cuts_change_nothing(void **state) {
    (void)state;
    const size_t length = sizeof(mixed) - 1;
    static const size_t limits[] = {1000, 15, 6, 1};
    for (size_t l = 0; l < COUNT_OF(limits); l++) {
        struct log whole = read_in_pieces(mixed, length, SIZE_MAX, SIZE_MAX, limits[l]);
        for (size_t cut = 0; cut <= length; cut++) {
            for (size_t other = cut; other <= length; other++) {
                struct log log = read_in_pieces(mixed, length, cut, other, limits[l]);
                assert_int_equal(log.text.len, whole.text.len);
                if (log.text.len != 0) {
                    assert_memory_equal(log.text.data, whole.text.data, log.text.len);
                }
                assert_int_equal(log.skipped, whole.skipped);
                buffer_done(&log.text);
            }
        }
        buffer_done(&whole.text);
    }
}

static void test_sse__a_line_over_the_limit_is_skipped_alone(void **state) {
    (void)state;
    const char text[] = "data: a\ndata: 01234567890\ndata: 0123456789\ndata: b\n";
    struct log log = read_in_pieces(text, sizeof(text) - 1, SIZE_MAX, SIZE_MAX, 16);
    assert_int_equal(log.skipped, 1);
    assert_int_equal(log.text.len, 15);
    assert_memory_equal(log.text.data, "|a|0123456789|b", 15);
    buffer_done(&log.text);
}

// Would catch: memory that grows with a line that never ends.
static void test_sse__an_endless_line_holds_no_more_than_the_limit(void **state) {
    (void)state;
    struct sse sse;
    struct bytes data;
    sse_init(&sse, 4096);
    for (int i = 0; i < 10000; i++) {
        sse_add(&sse, BYTES_LITERAL("data: 0123456789012345678901234567890123456789"));
        assert_false(sse_next(&sse, &data));
        assert_true(sse.kept.capacity <= 2 * 4096);
    }
    assert_int_equal(sse.skipped_count, 1);
    sse_add(&sse, BYTES_LITERAL("\ndata: b\n"));
    assert_true(sse_next(&sse, &data));
    assert_true(bytes_equal(data, BYTES_LITERAL("b")));
    assert_false(sse_next(&sse, &data));
    sse_done(&sse);
}
