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

static inline bool wire_read_varint(struct bytes *from, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t i = 0; i < from->len && i < WIRE_VARINT_MOST_BYTES; i++) {
        value |= (uint64_t)(from->data[i] & 0x7f) << (7 * i);
        if (from->data[i] >= 0x80) continue;
        from->data += i + 1;
        from->len -= i + 1;
        *ret_value = value;
        return true;
    }
    return false;
}

// Takes the next field from the front. False: malformed, or of a wire type that proto3 has not.
static inline bool wire_read_field(struct bytes *from, struct wire_field *ret_field) {
    uint64_t len = 0;
    *ret_field = (struct wire_field){0};
    if (!wire_read_varint(from, &ret_field->tag)) return false;
    switch (ret_field->tag & 7) {
    case WIRE_VARINT: return wire_read_varint(from, &ret_field->number);
    case WIRE_FIXED64: len = 8; break;
    case WIRE_FIXED32: len = 4; break;
    case WIRE_LENGTH:
        if (!wire_read_varint(from, &len)) return false;
        break;
    default: return false;
    }
    if (len > from->len) return false;
    ret_field->bytes = bytes_of(from->data, (size_t)len);
    from->data += len;
    from->len -= (size_t)len;
    return true;
}
