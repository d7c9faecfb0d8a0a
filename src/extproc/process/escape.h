// SPDX-License-Identifier: Apache-2.0
// What may stand behind a backslash in a JSON string:
// https://www.rfc-editor.org/rfc/rfc8259.html#section-7
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The character that a letter there means; 0: none.
static inline uint8_t escape_meaning(uint8_t letter) {
    static const uint8_t meanings[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    return meanings[letter];
}

static inline int escape_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

enum { ESCAPE_UNIT_BYTES = 5 };

// Whether `at` begins with u and four digits that mean a character, and not half of a pair.
static inline bool escape_is_unit(const uint8_t *at, const uint8_t *end) {
    if (end - at < ESCAPE_UNIT_BYTES || at[0] != 'u') return false;
    int high = escape_digit(at[1]) * 16 | escape_digit(at[2]);
    int low = escape_digit(at[3]) * 16 | escape_digit(at[4]);
    bool is_surrogate = (high & 0xf8) == 0xd8;
    return high >= 0 && low >= 0 && !is_surrogate;
}
