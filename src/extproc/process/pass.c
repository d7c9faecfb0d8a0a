// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/pass.h"

#include "extproc/process/block.h"

// A block is worth its while for longer texts only.
enum { SHORT_BYTES = 48 };

const uint8_t *pass_long_text(const uint8_t *at, const uint8_t *end) {
    const uint8_t *limit = end - at > SHORT_BYTES ? at + SHORT_BYTES : end;
    at = find_in_string(at, limit);
    if (at == limit) at = find_in_string(block_pass(at, end), end);
    while (at != end) {
        if (*at == '"') return at + 1;
        const uint8_t *behind = block_pass(at, end);
        if (behind == at) behind = pass_special(at, end);
        if (behind == NULL) break;
        at = find_in_string(behind, end);
    }
    return NULL;
}

const uint8_t *pass_long_plain_text(const uint8_t *at, const uint8_t *end) {
    at = find_in_string(at, end);
    return at != end && *at == '"' ? at + 1 : NULL;
}
