// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/pass.h"

#include "extproc/process/block.h"

// A block is worth its while for longer texts only.
enum { SHORT_STEPS = 3 };

const uint8_t *pass_long_text(const uint8_t *at, const uint8_t *end) {
    for (int i = 0; i < SHORT_STEPS && end - at > FIND_STEP; i++, at += FIND_STEP) {
        unsigned index = find_special(find_load(at));
        if (at[index] == '"') return at + index + 1;
        // Not from there: a processor begins with the next before it knows where that is.
        if (index != FIND_STEP) break;
    }
    while (at != NULL) {
        at = find_in_string(block_pass(at, end), end);
        if (at == end) return NULL;
        if (*at == '"') return at + 1;
        at = pass_special(at, end);
    }
    return NULL;
}

const uint8_t *pass_long_plain_text(const uint8_t *at, const uint8_t *end) {
    at = find_in_string(at, end);
    return at != end && *at == '"' ? at + 1 : NULL;
}
