// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/sse.c"

#include <stdlib.h>

// All data lines of a stream, each behind a '|'.
static void drain(struct sse *sse, struct buffer *log) {
    struct bytes data;
    for (;;) {
        switch (sse_next(sse, &data)) {
        case SSE_MORE: return;
        case SSE_BEGIN: break;
        case SSE_DATA: assert_int_equal(buffer_append(log, data), STATUS_OK); break;
        case SSE_END: assert_int_equal(buffer_append_byte(log, '|'), STATUS_OK); break;
        }
    }
}

// A piece in memory of its own, gone when the next one comes.
static void add_piece(struct sse *sse, const char *text, size_t length, struct buffer *log) {
    uint8_t *piece = malloc(length + (length == 0));
    assert_non_null(piece);
    memcpy(piece, text, length);
    sse_add(sse, bytes_of(piece, length));
    drain(sse, log);
    free(piece);
}

// The stream in pieces that end at the given offsets (SIZE_MAX: none).
static struct buffer read_in_pieces(const char *text, size_t length, size_t cut, size_t other_cut) {
    struct sse sse = {0};
    struct buffer log = {0};
    size_t start = 0;
    for (size_t end = 0; end <= length; end++) {
        if (end != cut && end != other_cut && end != length) continue;
        add_piece(&sse, text + start, end - start, &log);
        start = end;
    }
    if (sse_end(&sse)) assert_int_equal(buffer_append_byte(&log, '|'), STATUS_OK);
    return log;
}

static void assert_stream(const char *text, const char *want) {
    struct buffer log = read_in_pieces(text, strlen(text), SIZE_MAX, SIZE_MAX);
    assert_int_equal(log.len, strlen(want));
    if (log.len != 0) assert_memory_equal(log.data, want, log.len);
    buffer_done(&log);
}

static void test_sse__hands_out_data_lines_only(void **state) {
    (void)state;
    assert_stream("data: a\n\ndata:b\n\n", "a|b|");
    assert_stream(": comment\nevent: data: x\ndata: a\nid: 1\nretry: 5\n\n", "a|");
    assert_stream("data:  two\ndata:\ndata: \n", " two|||");
    assert_stream("Data: a\n data: b\ndata : c\ndat: d\ndata\ndatadata: e\n", "");
    assert_stream("", "");
    assert_stream("\n\r\n\r", "");
}

static void test_sse__takes_each_kind_of_line_end(void **state) {
    (void)state;
    assert_stream("data: a\r\ndata: b\r\n\r\n", "a|b|");
    assert_stream("data: a\rdata: b\r\r", "a|b|");
    assert_stream("data: a\rdata: b\ndata: c\r\n", "a|b|c|");
}

static void test_sse__a_last_line_needs_no_end(void **state) {
    (void)state;
    assert_stream("data: a\ndata: b", "a|b|");
    assert_stream("data: a\ndata:", "a||");
    assert_stream("data: a\ndat", "a|");
}

static const char mixed[] = ": hi\r\ndata: {\"a\":1}\r\n\r\nevent: x\rdata:{\"b\":\"\xc3\xa4\"}\r\r"
                            "data: [DONE]\n\ndata:\n\ndata: 0123456789\ndata: 0123456789 01234 \n"
                            "id: 0123456789abcdef\ndata: last";

// The property that matters most: where the pieces are cut changes nothing. Two cuts at every pair
// of offsets.
static void test_sse__cuts_change_nothing(void **state) {
    (void)state;
    const size_t length = sizeof(mixed) - 1;
    struct buffer whole = read_in_pieces(mixed, length, SIZE_MAX, SIZE_MAX);
    for (size_t cut = 0; cut <= length; cut++) {
        for (size_t other = cut; other <= length; other++) {
            struct buffer log = read_in_pieces(mixed, length, cut, other);
            assert_int_equal(log.len, whole.len);
            if (log.len != 0) assert_memory_equal(log.data, whole.data, log.len);
            buffer_done(&log);
        }
    }
    buffer_done(&whole);
}
