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

// Whether the innermost of `depth` open containers is an object.
static inline bool step_is_object(const struct scan *scan, size_t depth) {
    return scan->is_object[depth / 64] >> depth % 64 & 1;
}

static inline void step_set_object(struct scan *scan, size_t depth, bool is_object) {
    uint64_t *levels = &scan->is_object[depth / 64];
    *levels = (*levels & ~(UINT64_C(1) << depth % 64)) | (uint64_t)is_object << depth % 64;
}

static inline size_t step_offset_of(const struct scan *scan, const uint8_t *at) {
    return scan->piece_offset + (size_t)(at - scan->piece);
}

// Puts a digit behind those of `number`. False: that is too large.
static inline bool step_add_digit(uint64_t *number, uint8_t digit) {
    uint64_t tens;
    return !__builtin_mul_overflow(*number, 10, &tens) &&
           !__builtin_add_overflow(tens, digit, number);
}

// The next token, or the rest of one: SCAN_MORE when it is cut by the end of the piece.
int step_token(struct scan *scan);

// The end of the text, in which nothing is wrong so far.
bool step_end(struct scan *scan);
