// SPDX-License-Identifier: Apache-2.0
// The data lines of an event stream
// (https://html.spec.whatwg.org/multipage/server-sent-events.html) that comes in pieces cut
// anywhere. Each line is handed out for itself: the APIs that we read put an event's whole JSON
// into one. A line within one piece is not copied; the start of a line that goes on in the next
// piece is kept, up to a limit past which the line is skipped.
//
//     sse_add(&sse, piece);
//     while (sse_next(&sse, &data)) …
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct sse {
    struct bytes piece;     // what is left of the newest piece
    struct buffer kept;     // start of a line; its limit is the longest line
    bool is_kept_line_out;  // `kept` is a whole line that was handed out
    bool is_skipping;       // to the end of a line that is too long
    uint64_t skipped_count;
};

void sse_init(struct sse *sse, size_t line_limit_bytes);
void sse_done(struct sse *sse);

// The piece must stay until sse_next returned false.
void sse_add(struct sse *sse, struct bytes piece);

// No more pieces: a last line without an end becomes whole.
void sse_end(struct sse *sse);

// The next data line's value, which lives until the next call. False: a piece is needed.
bool sse_next(struct sse *sse, struct bytes *ret_data);
