// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/sse.h"

#include <assert.h>

#include "extproc/process/find.h"

enum {
    LINE_FIELD,  // "data:", or something else
    LINE_SPACE,  // the one space that may follow
    LINE_VALUE,
    LINE_OTHER,  // not data: to be passed over
};

void sse_add(struct sse *sse, struct bytes piece) {
    assert(sse->piece.len == 0);
    sse->piece = piece;
}

static void take(struct sse *sse, size_t count) {
    sse->piece.data += count;
    sse->piece.len -= count;
}

static void begin_line(struct sse *sse) {
    sse->line = LINE_FIELD;
    sse->field_bytes = 0;
}

static void take_field(struct sse *sse) {
    static const char field[] = "data:";
    const size_t whole = sizeof(field) - 1;
    bool is_whole = sse->field_bytes == 0 && sse->piece.len >= whole &&
                    memcmp(sse->piece.data, field, whole) == 0;
    if (is_whole) {
        take(sse, whole);
        sse->line = LINE_SPACE;
        return;
    }
    uint8_t c = *sse->piece.data;
    if (c != (uint8_t)field[sse->field_bytes]) {
        sse->line = LINE_OTHER;
        return;
    }
    take(sse, 1);
    sse->field_bytes++;
    if (field[sse->field_bytes] == '\0') sse->line = LINE_SPACE;
}

// The rest of the line in this piece. CRLF counts as the end of a line and an empty one, which has
// no data.
static struct bytes take_rest(struct sse *sse) {
    const uint8_t *start = sse->piece.data;
    const uint8_t *end = find_line_end(start, start + sse->piece.len);
    take(sse, (size_t)(end - start));
    return bytes_of(start, (size_t)(end - start));
}

static enum sse_part take_value(struct sse *sse, struct bytes *ret_data) {
    *ret_data = take_rest(sse);
    if (ret_data->len != 0) return SSE_DATA;
    take(sse, 1);
    begin_line(sse);
    return SSE_END;
}

enum sse_part sse_next(struct sse *sse, struct bytes *ret_data) {
    while (sse->piece.len != 0) {
        switch (sse->line) {
        case LINE_FIELD: take_field(sse); break;
        case LINE_SPACE:
            // "If value starts with a U+0020 SPACE character, remove it from value."
            if (*sse->piece.data == ' ') take(sse, 1);
            sse->line = LINE_VALUE;
            return SSE_BEGIN;
        case LINE_VALUE: return take_value(sse, ret_data);
        default:
            if (!find_is_line_end(*sse->piece.data)) take_rest(sse);
            if (sse->piece.len == 0) break;
            take(sse, 1);
            begin_line(sse);
        }
    }
    return SSE_MORE;
}

void sse_pass(struct sse *sse, size_t count) {
    assert(sse->line == LINE_VALUE);
    take(sse, count);
    begin_line(sse);
}

bool sse_end(struct sse *sse) {
    bool is_data = sse->line == LINE_SPACE || sse->line == LINE_VALUE;
    begin_line(sse);
    return is_data;
}
