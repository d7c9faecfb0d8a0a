// SPDX-License-Identifier: Apache-2.0
#include "extproc/message/wire.h"

// Tags and lengths have 32 bits: protobuf-c takes no more bytes for them.
enum { SHORT_VARINT_MOST_BYTES = 5 };

static bool read_varint(struct bytes *from, size_t most_bytes, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t i = 0; i < from->len && i < most_bytes; i++) {
        value |= (uint64_t)(from->data[i] & 0x7f) << (7 * i);
        if (from->data[i] >= 0x80) continue;
        if (i == WIRE_VARINT_MOST_BYTES - 1 && from->data[i] > 1)
            return false;  // more than 64 bits
        from->data += i + 1;
        from->len -= i + 1;
        *ret_value = value;
        return true;
    }
    return false;
}

bool wire_read_any_field(struct bytes *from, struct wire_field *ret_field) {
    uint64_t len = 0;
    *ret_field = (struct wire_field){0};
    if (!read_varint(from, SHORT_VARINT_MOST_BYTES, &ret_field->tag)) return false;
    switch (ret_field->tag & 7) {
    case WIRE_VARINT: return read_varint(from, WIRE_VARINT_MOST_BYTES, &ret_field->number);
    case WIRE_FIXED64: len = 8; break;
    case WIRE_FIXED32: len = 4; break;
    case WIRE_LENGTH:
        if (!read_varint(from, SHORT_VARINT_MOST_BYTES, &len)) return false;
        break;
    default: return false;
    }
    if (len > from->len) return false;
    ret_field->bytes = bytes_of(from->data, (size_t)len);
    from->data += len;
    from->len -= (size_t)len;
    return true;
}
