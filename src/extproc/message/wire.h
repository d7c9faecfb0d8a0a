// SPDX-License-Identifier: Apache-2.0
// Fields of a serialised message, one after the other, without a copy:
// https://protobuf.dev/programming-guides/encoding
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/bytes.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

enum { WIRE_VARINT_MOST_BYTES = 10 };

#define WIRE_TAG(number, type) ((uint64_t)(number) << 3 | (type))

struct wire_field {
    uint64_t tag;        // number and wire type
    uint64_t number;     // WIRE_VARINT
    struct bytes bytes;  // all others
};

// Takes the next field from the front. False: malformed, or of a wire type that proto3 has not.
bool wire_read_any_field(struct bytes *from, struct wire_field *ret_field);

// Takes this field, whose tag and length have a byte each, from the front if it is there.
static inline bool wire_take_short(struct bytes *from, uint8_t tag, struct bytes *ret_bytes) {
    const uint8_t *at = from->data;
    if (from->len < 2 || at[0] != tag || at[1] >= 0x80 || at[1] > from->len - 2) return false;
    *ret_bytes = bytes_of(at + 2, at[1]);
    *from = bytes_of(at + 2 + at[1], from->len - 2 - at[1]);
    return true;
}

// wire_read_any_field, without a call for what is most frequent: a small number, and a length of
// one byte or two. The call works on copies, so that what the caller has can stay in registers.
static inline bool wire_read_field(struct bytes *from, struct wire_field *ret_field) {
    const uint8_t *at = from->data;
    if (LIKELY(from->len >= 3 && at[0] < 0x80 && (at[0] & 7) == WIRE_LENGTH)) {
        bool is_long = at[1] >= 0x80;
        size_t before = is_long ? 3 : 2;
        size_t len = is_long ? (size_t)(at[1] & 0x7f) | (size_t)at[2] << 7 : at[1];
        if (LIKELY(!(is_long && at[2] >= 0x80) && len <= from->len - before)) {
            *ret_field = (struct wire_field){.tag = at[0], .bytes = bytes_of(at + before, len)};
            *from = bytes_of(at + before + len, from->len - before - len);
            return true;
        }
    }
    if (from->len >= 2 && at[0] < 0x80 && (at[0] & 7) == WIRE_VARINT && at[1] < 0x80) {
        *ret_field = (struct wire_field){.tag = at[0], .number = at[1]};
        *from = bytes_of(at + 2, from->len - 2);
        return true;
    }
    struct bytes rest = *from;
    struct wire_field field UNINITIALIZED;
    bool is_good = wire_read_any_field(&rest, &field);
    *from = rest;
    *ret_field = field;
    return is_good;
}
