// SPDX-License-Identifier: Apache-2.0
// The short way of the scanner through what nobody wants, for scan.c only.
#pragma once

#include "extproc/process/scan.h"

// Whether the innermost of `depth` open containers is an object.
static inline bool skip_is_in_object(const struct scan *scan, size_t depth) {
    return scan->is_object[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
}

static inline void skip_set_object(struct scan *scan, size_t depth, bool is_object) {
    uint64_t *levels = &scan->is_object[(depth - 1) / 64];
    uint64_t bit = UINT64_C(1) << (depth - 1) % 64;
    *levels = is_object ? *levels | bit : *levels & ~bit;
}

// Goes on from between two tokens to between two others, as far as they are whole in the piece and
// have nothing that takes a closer look; to the end of what is skipped at most, where it says so.
void skip_plain_tokens(struct scan *scan);
