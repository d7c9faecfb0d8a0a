// SPDX-License-Identifier: Apache-2.0
// Fields of a serialised message, one after the other, without a copy:
// https://protobuf.dev/programming-guides/encoding
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

// The same, without a call for what is most frequent: a small number, and a length of one byte or
// two.
static inline bool wire_read_field(struct bytes *from, struct wire_field *ret_field) {
    const uint8_t *at = from->data;
    if (from->len < 3 || at[0] >= 0x80 || (at[0] & 7) != WIRE_LENGTH) {
        return wire_read_any_field(from, ret_field);
    }
    bool is_long = at[1] >= 0x80;
    size_t before = is_long ? 3 : 2;
    size_t len = is_long ? (size_t)(at[1] & 0x7f) | (size_t)at[2] << 7 : at[1];
    if ((is_long && at[2] >= 0x80) || len > from->len - before) {
        return wire_read_any_field(from, ret_field);
    }
    ret_field->tag = at[0];
    ret_field->number = 0;
    ret_field->bytes = bytes_of(at + before, len);
    from->data += before + len;
    from->len -= before + len;
    return true;
}
