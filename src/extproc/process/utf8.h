// SPDX-License-Identifier: Apache-2.0
// Which bytes may follow which in UTF-8 (RFC 3629 section 4: no overlong form, no surrogate,
// nothing past U+10FFFF), for text that comes in pieces.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

// Within a character: how many bytes are to come, and the bounds of the next one.
struct utf8 {
    uint8_t left, low, high;
};

// The first byte of a character beyond ASCII.
static inline bool utf8_begin(struct utf8 *utf8, uint8_t c) {
    if (c < 0xc2 || c > 0xf4) return false;
    utf8->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    utf8->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    utf8->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

// Another byte of it.
static inline bool utf8_go_on(struct utf8 *utf8, uint8_t c) {
    if (c < utf8->low || c > utf8->high) return false;
    utf8->low = 0x80;
    utf8->high = 0xbf;
    utf8->left--;
    return true;
}

static inline bool utf8_is_continuation(uint8_t c) {
    return (c & 0xc0) == 0x80;
}

// Behind the characters of two and three bytes at the front, which is most of them in most scripts;
// stops where it is not sure.
static inline const uint8_t *utf8_skip(const uint8_t *at, const uint8_t *end) {
    while (end - at >= 3) {
        uint8_t first = at[0], second = at[1];
        if (first < 0xc2 || first >= 0xf0 || !utf8_is_continuation(second)) break;
        if (first < 0xe0) {
            at += 2;
            continue;
        }
        bool is_odd = (first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0);
        if (is_odd || !utf8_is_continuation(at[2])) break;
        at += 3;
    }
    return at;
}

static inline bool utf8_is_valid(struct bytes text) {
    struct utf8 utf8 = {0};
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (utf8.left == 0 && c < 0x80) continue;
        if (utf8.left != 0 ? !utf8_go_on(&utf8, c) : !utf8_begin(&utf8, c)) return false;
    }
    return utf8.left == 0;
}
