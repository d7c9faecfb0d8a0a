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

// The value of a hexadecimal digit; -1: it is none.
static inline int escape_digit(uint8_t c) {
    static const uint8_t values_and_one[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
        ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };
    return values_and_one[c] - 1;
}

enum { ESCAPE_UNIT_BYTES = 5 };

// Whether `at` begins with u and four digits that mean a character, and not half of a pair.
static inline bool escape_is_unit(const uint8_t *at, const uint8_t *end) {
    if (end - at < ESCAPE_UNIT_BYTES || at[0] != 'u') return false;
    int first = escape_digit(at[1]), second = escape_digit(at[2]);
    bool is_surrogate = first == 0xd && second >= 8;
    return (first | second | escape_digit(at[3]) | escape_digit(at[4])) >= 0 && !is_surrogate;
}
