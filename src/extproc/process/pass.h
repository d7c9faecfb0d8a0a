// SPDX-License-Identifier: Apache-2.0
// Steps over single things in JSON that are whole in the piece and plain.
#pragma once

#include "base/attributes.h"
#include "extproc/process/escape.h"
#include "extproc/process/find.h"
#include "extproc/process/utf8.h"

// Each of these goes from the start of something to behind it. NULL: it is not plain, or not whole.

static inline const uint8_t *pass_gap(const uint8_t *at, const uint8_t *end) {
    if (LIKELY(at != end && *at > ' ')) return at;
    while (at != end && find_is_gap(*at)) at++;
    return at;
}

// To `c`, which is most often there, or to what there is instead.
static inline const uint8_t *pass_gap_to(uint8_t c, const uint8_t *at, const uint8_t *end) {
    return LIKELY(at != end && *at == c) ? at : pass_gap(at, end);
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
    if (LIKELY(end - ++at > FIND_STEP)) {
        const uint8_t *special = at + find_special(find_load(at));
        if (LIKELY(*special == '"')) return special + 1;
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

// Whether what stands behind digits may belong to their number, or is wrong there.
static inline bool pass_may_go_on(uint8_t behind_digits) {
    switch (behind_digits) {
    case 'e':
    case 'E':
    case '.':
    case '+':
    case '-': return true;
    default: return false;
    }
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
    return pass_may_go_on(*at) ? NULL : at;
}

// One that is whole and surely fits.
static inline const uint8_t *pass_whole_number(const uint8_t *at, const uint8_t *end,
                                               uint64_t *ret_number) {
    enum { DIGITS_MOST = 19 };
    const uint8_t *first = at;
    uint64_t number = 0;
    uint8_t digit;
    for (; at != end && (digit = (uint8_t)(*at - '0')) < 10; at++) number = number * 10 + digit;
    bool is_good = at != end && at != first && at - first <= DIGITS_MOST && !pass_may_go_on(*at) &&
                   (*first != '0' || at - first == 1);
    *ret_number = number;
    return is_good ? at : NULL;
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
