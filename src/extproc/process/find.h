// SPDX-License-Identifier: Apache-2.0
// Finds the first byte that matters, 16 at a time: most bytes of a body are plain text.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"

enum { FIND_STEP = 16 };

// Signed: bytes from 0x80 on count as less than a space, as control characters do.
typedef int8_t find_lanes __attribute__((vector_size(FIND_STEP)));

static inline find_lanes find_load(const uint8_t *at) {
    find_lanes lanes;
    memcpy(&lanes, at, sizeof(lanes));
    return lanes;
}

// Between tokens of JSON.
static inline bool find_is_gap(uint8_t c) {
    return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

// Those that stay in a JSON string as they are: no quotes, backslashes, control characters nor
// bytes beyond ASCII. With one bit turned a quote is a space, and what is less stays less; the
// backslash is among the greater ones, and is taken away from them.
static inline find_lanes find_plain(find_lanes lanes) {
    return ((lanes ^ ('"' ^ ' ')) > ' ') ^ (lanes == '\\');
}

// The index of the first that is not plain; FIND_STEP: all are.
static inline unsigned find_special(find_lanes lanes) {
    return (unsigned)__builtin_ctz(~LANE_BITS(find_plain(lanes)));
}

// The first byte of [at, end) that is not plain within a JSON string; `end` when there is none.
static inline const uint8_t *find_in_string(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= FIND_STEP; at += FIND_STEP) {
        unsigned index = find_special(find_load(at));
        if (index != FIND_STEP) return at + index;
    }
    while (at != end && (int8_t)*at >= ' ' && *at != '"' && *at != '\\') at++;
    return at;
}

static inline bool find_is_line_end(uint8_t c) {
    return c == '\n' || c == '\r';
}

// The first end of a line in [at, end); `end` when there is none.
static inline const uint8_t *find_line_end(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= FIND_STEP; at += FIND_STEP) {
        find_lanes lanes = find_load(at);
        unsigned found = LANE_BITS((lanes == '\n') | (lanes == '\r'));
        if (found != 0) return at + __builtin_ctz(found);
    }
    while (at != end && !find_is_line_end(*at)) at++;
    return at;
}

// The index of the first byte in which they differ; `len` when there is none.
static inline size_t find_difference(const uint8_t *a, const uint8_t *b, size_t len) {
    size_t at = 0;
    for (; len - at >= FIND_STEP; at += FIND_STEP) {
        unsigned same = LANE_BITS(find_load(a + at) == find_load(b + at));
        if (same != (1 << FIND_STEP) - 1) return at + (unsigned)__builtin_ctz(~same);
    }
    while (at != len && a[at] == b[at]) at++;
    return at;
}

// The first byte of [at, end) that is no digit; `end` when there is none.
static inline const uint8_t *find_digits_end(const uint8_t *at, const uint8_t *end) {
    while (at != end && (uint8_t)(*at - '0') < 10) at++;
    return at;
}
