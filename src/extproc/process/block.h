// SPDX-License-Identifier: Apache-2.0
// Passes over the text of a JSON string that nobody wants, 64 bytes at a time: a bit for each byte
// says what it is, and arithmetic on the bits which of them stand behind a backslash, so that an
// escape ends nothing and a processor has no branch to foresee. The method is that of section 3.1.1
// of Langdale and Lemire, "Parsing Gigabytes of JSON per Second"
// (https://arxiv.org/abs/1902.08318). No block leaves anything to the next one: what its end cuts
// is read again with the next.
#pragma once

#include "base/attributes.h"
#include "extproc/process/escape.h"
#include "extproc/process/find.h"
#include "extproc/process/utf8.h"

enum { BLOCK_BYTES = 64 };

struct block {
    uint64_t backslashes;
    uint64_t special;  // those, and quotes, control characters, bytes beyond ASCII
};

// False: it is all plain text.
static inline bool block_read(const uint8_t *at, struct block *ret_block) {
    enum { STEPS = BLOCK_BYTES / FIND_STEP };
    find_lanes backslashes[STEPS], plain[STEPS], all = find_plain(find_load(at));
#pragma GCC unroll 4
    for (unsigned i = 0; i < STEPS; i++) {
        find_lanes lanes = find_load(at + i * FIND_STEP);
        backslashes[i] = lanes == '\\';
        plain[i] = find_plain(lanes);
        all &= plain[i];
    }
    if (LANE_BITS(all) == (1 << FIND_STEP) - 1) return false;
    uint64_t plain_bits = 0;
    ret_block->backslashes = 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < STEPS; i++) {
        ret_block->backslashes |= (uint64_t)LANE_BITS(backslashes[i]) << i * FIND_STEP;
        plain_bits |= (uint64_t)LANE_BITS(plain[i]) << i * FIND_STEP;
    }
    ret_block->special = ~plain_bits;
    return true;
}

// The backslashes that escape something, which is every second one of a run from its first on, and
// what stands behind a run of odd length. Every other bit is set, the odd ones, and those behind
// each backslash; of that a run is taken away. From an odd place on it takes what is there and
// leaves no bit; from an even place on, where none is, it borrows all the way to its end and leaves
// them all. Turning the odd ones leaves what is looked for in either case.
static inline uint64_t block_escapes(uint64_t backslashes) {
    const uint64_t odd = UINT64_C(0xaaaaaaaaaaaaaaaa);
    return ((backslashes << 1 | odd) - backslashes) ^ odd;
}

// The first of these bytes that is no character beyond ASCII. Else `ret_goes_on`, and it is where
// the next block begins: at `next` if no character goes beyond it.
static inline const uint8_t *block_stop(uint64_t stops, const uint8_t *at, const uint8_t *end,
                                        const uint8_t *next, bool *ret_goes_on) {
    *ret_goes_on = false;
    while (stops != 0) {
        const uint8_t *stop = at + __builtin_ctzll(stops);
        const uint8_t *behind = *stop >= 0x80 ? utf8_skip(stop, end) : stop;
        if (behind == stop) return stop;
        if (behind - at >= BLOCK_BYTES) {
            *ret_goes_on = true;
            return behind;
        }
        stops &= ~UINT64_C(0) << (behind - at);
    }
    *ret_goes_on = true;
    return next;
}

// The backslash in front of the first of these bytes that is no escape, or not whole before `end`;
// NULL: all are.
static inline const uint8_t *block_bad_escape(uint64_t escaped, const uint8_t *at,
                                              const uint8_t *end) {
    for (; escaped != 0; escaped &= escaped - 1) {
        const uint8_t *letter = at + __builtin_ctzll(escaped);
        bool is_good = escape_meaning(*letter) != '\0' || escape_is_unit(letter, end);
        if (!is_good) return letter - 1;
    }
    return NULL;
}

// From a place in a string where no escape is open to the next such one that has to be looked at:
// the closing quote, or what is not surely good. Or less than a block is left.
static inline const uint8_t *block_pass(const uint8_t *at, const uint8_t *end) {
    bool goes_on = true;
    while (goes_on && end - at >= BLOCK_BYTES) {
        struct block block;
        if (!block_read(at, &block)) {
            at += BLOCK_BYTES;
            continue;
        }
        uint64_t escapes = block_escapes(block.backslashes);
        uint64_t escaped = escapes ^ block.backslashes;
        uint64_t stops = block.special & ~block.backslashes & ~escaped;
        // An escape that the end of the block cuts is read with the next one.
        const uint8_t *next = at + BLOCK_BYTES;
        if (RARELY((escapes & block.backslashes) >> (BLOCK_BYTES - 1) != 0)) next--;
        next = block_stop(stops, at, end, next, &goes_on);
        if (next - at < BLOCK_BYTES) escaped &= (UINT64_C(1) << (next - at)) - 1;
        const uint8_t *bad = block_bad_escape(escaped, at, end);
        if (bad != NULL) return bad;
        at = next;
    }
    return at;
}
