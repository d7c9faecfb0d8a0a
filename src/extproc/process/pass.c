// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/pass.h"

#include "extproc/process/block.h"

const uint8_t *pass_long_text(const uint8_t *at, const uint8_t *end) {
    while (at != NULL) {
        at = find_in_string(block_pass(at, end), end);
        if (at == end) return NULL;
        if (*at == '"') return at + 1;
        at = pass_special(at, end);
    }
    return NULL;
}
