// SPDX-License-Identifier: Apache-2.0
// The data lines of an event stream
// (https://html.spec.whatwg.org/multipage/server-sent-events.html) that comes in pieces cut
// anywhere. Each line is handed out for itself: the APIs that we read put an event's whole JSON
// into one. Nothing is copied or kept: a line that is cut by the end of a piece is handed out in
// parts.
//
//     sse_add(&sse, piece);
//     while ((part = sse_next(&sse, &data)) != SSE_MORE) …
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum sse_part {
    SSE_MORE,   // a piece is needed
    SSE_BEGIN,  // a data line's value comes next, unless the stream ends: see sse_pass
    SSE_DATA,   // a part of it
    SSE_END,    // it is complete; it is empty if no part came before
};

// All-zero is the start of a stream.
struct sse {
    struct bytes piece;   // what is left of the newest piece
    uint8_t line;         // which part of a line comes next
    uint8_t field_bytes;  // how much of "data:" was seen
};

// The piece must stay until sse_next returned SSE_MORE.
void sse_add(struct sse *sse, struct bytes piece);

enum sse_part sse_next(struct sse *sse, struct bytes *ret_data);

// After SSE_BEGIN, `sse->piece` starts with the value. The caller has seen as many bytes of it, to
// the end of its line and with that: the next line comes next.
void sse_pass(struct sse *sse, size_t count);

// No more pieces. Whether a last line without an end was being handed out: it is complete now.
bool sse_end(struct sse *sse);
