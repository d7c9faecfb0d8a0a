// SPDX-License-Identifier: Apache-2.0
// Steps over single things in JSON that are whole in the piece and plain.
#pragma once

#include "base/attributes.h"
#include "extproc/process/block.h"
#include "extproc/process/find.h"

// Each of these goes from the start of something to behind it. NULL: it is not plain, or not whole.

static inline const uint8_t *pass_gap(const uint8_t *at, const uint8_t *end) {
    while (at != end && find_is_gap(*at)) at++;
    return at;
}

static inline const uint8_t *pass_text(const uint8_t *at, const uint8_t *end) {
    const uint8_t *quote = find_short_end(++at, end);
    if (LIKELY(quote != NULL)) return quote + 1;
    at = find_in_string(block_pass(at, end), end);
    return at != end && *at == '"' ? at + 1 : NULL;
}

// An exponent is left to the long way.
static inline const uint8_t *pass_number(const uint8_t *at, const uint8_t *end) {
    if (*at == '-') at++;
    const uint8_t *first = at;
    at = find_digits_end(at, end);
    if (at == end || at == first || (*first == '0' && at - first != 1)) return NULL;
    if (*at == '.') {
        first = ++at;
        at = find_digits_end(at, end);
        if (at == end || at == first) return NULL;
    }
    bool goes_on = *at == 'e' || *at == 'E' || *at == '.' || *at == '+' || *at == '-';
    return goes_on ? NULL : at;
}

static inline const uint8_t *pass_word(const uint8_t *at, const uint8_t *end) {
    static const char words[][4] = {"true", "null", "alse"};
    size_t left = (size_t)(end - at);
    if (left >= 4 && memcmp(at, words[0], 4) == 0) return at + 4;
    if (left >= 4 && memcmp(at, words[1], 4) == 0) return at + 4;
    return left >= 5 && *at == 'f' && memcmp(at + 1, words[2], 4) == 0 ? at + 5 : NULL;
}

static inline const uint8_t *pass_scalar(const uint8_t *at, const uint8_t *end) {
    if (*at == '"') return pass_text(at, end);
    if (*at <= '9') return pass_number(at, end);
    return pass_word(at, end);
}
