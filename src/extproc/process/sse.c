// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/sse.h"

#include <assert.h>

void sse_init(struct sse *sse, size_t line_limit_bytes) {
    *sse = (struct sse){.kept.limit = line_limit_bytes};
}

void sse_done(struct sse *sse) {
    buffer_done(&sse->kept);
}

void sse_add(struct sse *sse, struct bytes piece) {
    assert(sse->piece.len == 0);
    sse->piece = piece;
}

void sse_end(struct sse *sse) {
    if (sse->kept.len != 0 || sse->is_skipping) sse_add(sse, BYTES_LITERAL("\n"));
}

static bool is_line_end(uint8_t c) {
    return c == '\n' || c == '\r';
}

static void skip_line(struct sse *sse) {
    sse->is_skipping = true;
    sse->skipped_count++;
    sse->kept.len = 0;
}

// Takes the piece up to the end of the line into *ret_part; false: the line does not end in it.
// CRLF counts as the end of a line and an empty one, which has no data.
static bool take_part(struct sse *sse, struct bytes *ret_part) {
    size_t i = 0;
    while (i < sse->piece.len && !is_line_end(sse->piece.data[i])) i++;
    *ret_part = bytes_of(sse->piece.data, i);
    bool is_whole = i < sse->piece.len;
    size_t taken = is_whole ? i + 1 : i;
    sse->piece.data += taken;
    sse->piece.len -= taken;
    return is_whole;
}

// The whole line that `part` ends; false when it is to be skipped.
static bool join_line(struct sse *sse, struct bytes part, struct bytes *ret_line) {
    if (sse->is_skipping) {
        sse->is_skipping = false;
        return false;
    }
    bool is_too_long = sse->kept.len + part.len > sse->kept.limit;
    if (is_too_long || (sse->kept.len != 0 && buffer_append(&sse->kept, part) != STATUS_OK)) {
        skip_line(sse);
        sse->is_skipping = false;
        return false;
    }
    sse->is_kept_line_out = sse->kept.len != 0;
    *ret_line = sse->is_kept_line_out ? buffer_bytes(&sse->kept) : part;
    return true;
}

// "If value starts with a U+0020 SPACE character, remove it from value."
static bool data_of(struct bytes line, struct bytes *ret_data) {
    const struct bytes field = BYTES_LITERAL("data:");
    if (!bytes_start_with(line, field)) return false;
    size_t start = field.len;
    if (start < line.len && line.data[start] == ' ') start++;
    *ret_data = bytes_of(line.data + start, line.len - start);
    return true;
}

bool sse_next(struct sse *sse, struct bytes *ret_data) {
    if (sse->is_kept_line_out) sse->kept.len = 0;
    sse->is_kept_line_out = false;
    while (sse->piece.len != 0) {
        struct bytes part, line;
        bool is_whole = take_part(sse, &part);
        if (!is_whole) {
            bool is_kept = sse->is_skipping || buffer_append(&sse->kept, part) == STATUS_OK;
            if (!is_kept) skip_line(sse);
            return false;
        }
        if (!join_line(sse, part, &line)) continue;
        if (data_of(line, ret_data)) return true;
        sse->kept.len = 0;
        sse->is_kept_line_out = false;
    }
    return false;
}
