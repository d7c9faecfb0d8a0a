// SPDX-License-Identifier: Apache-2.0
// Finds the first byte that matters, 16 at a time: most bytes of a body are plain text.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FIND_STEP = 16 };

// Signed: bytes from 0x80 on count as less than a space, as control characters do.
typedef int8_t find_lanes __attribute__((vector_size(FIND_STEP)));

static inline find_lanes find_load(const uint8_t *at) {
    find_lanes lanes;
    memcpy(&lanes, at, sizeof(lanes));
    return lanes;
}

// The index of the first lane that is found; FIND_STEP when there is none. Little-endian, as all
// machines are that this is built for.
static inline unsigned find_first(find_lanes found) {
    uint64_t halves[2];
    memcpy(halves, &found, sizeof(found));
    if (halves[0] != 0) return (unsigned)__builtin_ctzll(halves[0]) / 8;
    return halves[1] != 0 ? 8 + (unsigned)__builtin_ctzll(halves[1]) / 8 : FIND_STEP;
}

// The first byte of [at, end) that is not plain within a JSON string: a quote, a backslash, a
// control character or one beyond ASCII; `end` when there is none.
static inline const uint8_t *find_in_string(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= FIND_STEP; at += FIND_STEP) {
        find_lanes lanes = find_load(at);
        unsigned index = find_first((lanes < ' ') | (lanes == '"') | (lanes == '\\'));
        if (index != FIND_STEP) return at + index;
    }
    while (at != end && (int8_t)*at >= ' ' && *at != '"' && *at != '\\') at++;
    return at;
}

// The first end of a line in [at, end); `end` when there is none.
static inline const uint8_t *find_line_end(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= FIND_STEP; at += FIND_STEP) {
        find_lanes lanes = find_load(at);
        unsigned index = find_first((lanes == '\n') | (lanes == '\r'));
        if (index != FIND_STEP) return at + index;
    }
    while (at != end && *at != '\n' && *at != '\r') at++;
    return at;
}

// The first byte of [at, end) that is no digit; `end` when there is none.
static inline const uint8_t *find_digits_end(const uint8_t *at, const uint8_t *end) {
    while (at != end && (uint8_t)(*at - '0') < 10) at++;
    return at;
}
