// SPDX-License-Identifier: Apache-2.0
// The long way of the scanner, token by token: what is cut, has escapes or is wrong. For scan.c
// only.
#pragma once

#include "extproc/process/scan.h"

// Besides the tokens: something was read that is none.
enum { NO_TOKEN = -1 };

enum { INSIDE_NOTHING, INSIDE_STRING, INSIDE_NUMBER, INSIDE_WORD, INSIDE_FAULT };

// Instead of a depth at which skipping ends.
#define NOT_SKIPPING SIZE_MAX

static inline bool step_is_skipping(const struct scan *scan) {
    return scan->skip_depth != NOT_SKIPPING;
}

// Behind a token: back at the depth where it began, it is over.
static inline void step_end_skipping(struct scan *scan) {
    if (scan->depth == scan->skip_depth) scan->skip_depth = NOT_SKIPPING;
}

// Whether the innermost container is an object.
static inline bool step_is_in_object(const struct scan *scan) {
    return scan->kinds & 1;
}

static inline void step_enter(struct scan *scan, bool is_object) {
    if (scan->depth % 64 == 0) scan->outer_kinds[scan->depth / 64] = scan->kinds;
    scan->kinds = scan->kinds << 1 | is_object;
    scan->depth++;
}

static inline void step_leave(struct scan *scan) {
    scan->depth--;
    scan->kinds >>= 1;
    if (scan->depth % 64 == 0) scan->kinds = scan->outer_kinds[scan->depth / 64];
}

static inline size_t step_offset_of(const struct scan *scan, const uint8_t *at) {
    return scan->piece_offset + (size_t)(at - scan->piece);
}

// The next token, or the rest of one: SCAN_MORE when it is cut by the end of the piece.
int step_token(struct scan *scan);

// The end of the text, in which nothing is wrong so far.
bool step_end(struct scan *scan);
