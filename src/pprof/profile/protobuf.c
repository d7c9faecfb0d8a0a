// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/protobuf.h"

enum { WIRE_VARINT = 0, WIRE_LENGTH = 2, VARINT_BYTES = 10 };

static size_t encode_varint(uint64_t value, uint8_t bytes[VARINT_BYTES]) {
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    return len;
}

static void write_raw(struct protobuf *writer, struct bytes bytes) {
    if (writer->status == STATUS_OK) writer->status = buffer_append(&writer->buffer, bytes);
}

static void write_varint(struct protobuf *writer, uint64_t value) {
    uint8_t bytes[VARINT_BYTES];
    write_raw(writer, bytes_of(bytes, encode_varint(value, bytes)));
}

static void write_tag(struct protobuf *writer, uint32_t field, uint32_t wire_type) {
    write_varint(writer, (uint64_t)field << 3 | wire_type);
}

void protobuf_write_uint64(struct protobuf *writer, uint32_t field, uint64_t value) {
    if (value == 0) return;
    write_tag(writer, field, WIRE_VARINT);
    write_varint(writer, value);
}

void protobuf_write_int64(struct protobuf *writer, uint32_t field, int64_t value) {
    protobuf_write_uint64(writer, field, (uint64_t)value);
}

void protobuf_write_bool(struct protobuf *writer, uint32_t field, bool value) {
    protobuf_write_uint64(writer, field, value);
}

void protobuf_write_bytes(struct protobuf *writer, uint32_t field, struct bytes value) {
    write_tag(writer, field, WIRE_LENGTH);
    write_varint(writer, value.len);
    write_raw(writer, value);
}

void protobuf_write_packed(struct protobuf *writer, uint32_t field, const uint64_t *values,
                           size_t count) {
    if (count == 0) return;
    uint8_t bytes[VARINT_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) len += encode_varint(values[i], bytes);
    write_tag(writer, field, WIRE_LENGTH);
    write_varint(writer, len);
    for (size_t i = 0; i < count; i++) write_varint(writer, values[i]);
}
