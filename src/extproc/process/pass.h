// SPDX-License-Identifier: Apache-2.0
// Steps over single things in JSON that are whole in the piece and plain.
#pragma once

#include "base/attributes.h"
#include "extproc/process/escape.h"
#include "extproc/process/find.h"
#include "extproc/process/utf8.h"

// Each of these goes from the start of something to behind it. NULL: it is not plain, or not whole.

static inline const uint8_t *pass_gap(const uint8_t *at, const uint8_t *end) {
    while (at != end && find_is_gap(*at)) at++;
    return at;
}

// What stays in a text and is not plain: characters beyond ASCII, or an escape that means one.
static inline const uint8_t *pass_special(const uint8_t *at, const uint8_t *end) {
    if (*at >= 0x80) {
        const uint8_t *behind = utf8_skip(at, end);
        if (behind != at) return behind;
        struct utf8 utf8;
        if (!utf8_begin(&utf8, *at) || end - at <= utf8.left) return NULL;
        while (utf8.left != 0) {
            if (!utf8_go_on(&utf8, *++at)) return NULL;
        }
        return at + 1;
    }
    if (*at != '\\' || end - at < 2) return NULL;
    if (escape_meaning(at[1]) != '\0') return at + 2;
    return escape_is_unit(at + 1, end) ? at + 1 + ESCAPE_UNIT_BYTES : NULL;
}

// From within a text.
const uint8_t *pass_long_text(const uint8_t *at, const uint8_t *end);
const uint8_t *pass_long_plain_text(const uint8_t *at, const uint8_t *end);

// Most texts are short. `pass_long` goes on where they are not.
static inline const uint8_t *pass_short(const uint8_t *at, const uint8_t *end,
                                        const uint8_t *(*pass_long)(const uint8_t *at,
                                                                    const uint8_t *end)) {
    if (LIKELY(end - ++at >= FIND_STEP)) {
        unsigned index = find_special(find_load(at));
        at += index;
        if (LIKELY(index != FIND_STEP && *at == '"')) return at + 1;
    }
    return pass_long(at, end);
}

static inline const uint8_t *pass_text(const uint8_t *at, const uint8_t *end) {
    return pass_short(at, end, pass_long_text);
}

// One without escapes, in ASCII.
static inline const uint8_t *pass_plain_text(const uint8_t *at, const uint8_t *end) {
    return pass_short(at, end, pass_long_plain_text);
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
