// SPDX-License-Identifier: Apache-2.0
// Writing protobuf's wire format: tags, varints, length-delimited fields. Knows no message.
// Spec: protobuf.dev/programming-guides/encoding. Failures are remembered in the writer and told
// once at the end, so that callers write field after field without asking.
#pragma once

#include "base/bytes.h"

struct protobuf {
    struct buffer buffer;
    enum status status;  // the first failure; writing goes on as a no-op
};

// Fields with the value 0 are left out, as proto3 has it.
void protobuf_write_int64(struct protobuf *writer, uint32_t field, int64_t value);
void protobuf_write_uint64(struct protobuf *writer, uint32_t field, uint64_t value);
void protobuf_write_bool(struct protobuf *writer, uint32_t field, bool value);
// Written also when empty.
void protobuf_write_bytes(struct protobuf *writer, uint32_t field, struct bytes value);
// A repeated number, packed; not written when there are none.
void protobuf_write_packed(struct protobuf *writer, uint32_t field, const uint64_t *values,
                           size_t count);
