// SPDX-License-Identifier: Apache-2.0
#include "extproc/message/body.h"

#include "base/attributes.h"
#include "extproc/message/wire.h"

static size_t varint_bytes(uint64_t value) {
    size_t count = 1;
    for (; value >= 0x80; value >>= 7) count++;
    return count;
}

static uint8_t *write_varint(uint8_t *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

// The fields that stand around a body, outermost first: each has one byte of tag and a length, and
// may hold something else before or behind the next one.
struct nesting {
    struct {
        uint8_t tag;
        struct bytes before, behind;
        size_t len;
    } fields[5];
    size_t count;
};

static void nest(struct nesting *nesting, uint8_t tag) {
    nesting->fields[nesting->count++].tag = tag;
}

static void nest_body(struct nesting *nesting, const struct message_answer *answer,
                      struct bytes common) {
    static const uint8_t end_of_stream[] = {WIRE_TAG(2, WIRE_VARINT), 1};
    nest(nesting, answer->kind == MESSAGE_REQUEST_BODY ? WIRE_TAG(3, WIRE_LENGTH)
                                                       : WIRE_TAG(4, WIRE_LENGTH));
    nest(nesting, WIRE_TAG(1, WIRE_LENGTH));  // CommonResponse
    nesting->fields[1].before = common;
    nest(nesting, WIRE_TAG(3, WIRE_LENGTH));  // body_mutation
    if (answer->body_change == MESSAGE_BODY_PASSED) {
        nest(nesting, WIRE_TAG(3, WIRE_LENGTH));  // streamed_response
        size_t len = answer->body_is_last ? sizeof(end_of_stream) : 0;
        nesting->fields[3].behind = bytes_of(end_of_stream, len);
    }
    nest(nesting, WIRE_TAG(1, WIRE_LENGTH));  // body
}

// Fills in the lengths, innermost first, and returns the whole one.
static size_t measure(struct nesting *nesting, size_t len) {
    for (size_t i = nesting->count; i-- > 0;) {
        size_t beside = nesting->fields[i].before.len + nesting->fields[i].behind.len;
        nesting->fields[i].len = len += beside;
        len += 1 + varint_bytes(len);
    }
    return len;
}

static uint8_t *write_bytes(uint8_t *to, struct bytes bytes) {
    if (bytes.len != 0) memcpy(to, bytes.data, bytes.len);
    return to + bytes.len;
}

enum status body_encode(const struct message_answer *answer, struct bytes common,
                        struct buffer *serialised) {
    struct nesting nesting = {.count = 0};
    size_t body_bytes = 0;
    nest_body(&nesting, answer, common);
    for (size_t i = 0; i < MESSAGE_BODY_PARTS_MOST; i++) body_bytes += answer->body[i].len;
    size_t size = measure(&nesting, body_bytes);
    uint8_t *to;
    enum status status = buffer_reserve(serialised, size, &to);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < nesting.count; i++) {
        *to++ = nesting.fields[i].tag;
        to = write_varint(to, nesting.fields[i].len);
        to = write_bytes(to, nesting.fields[i].before);
    }
    for (size_t i = 0; i < MESSAGE_BODY_PARTS_MOST; i++) to = write_bytes(to, answer->body[i]);
    for (size_t i = nesting.count; i-- > 0;) to = write_bytes(to, nesting.fields[i].behind);
    serialised->len += size;
    return STATUS_OK;
}

enum status body_encode_plain(enum message_kind kind, struct buffer *serialised) {
    enum { RESPONSE = WIRE_TAG(1, WIRE_LENGTH) };
    static const struct {
        uint8_t len, bytes[4];
    } plain[MESSAGE_KIND_COUNT] = {
        [MESSAGE_REQUEST_HEADERS] = {4, {WIRE_TAG(1, WIRE_LENGTH), 2, RESPONSE, 0}},
        [MESSAGE_RESPONSE_HEADERS] = {4, {WIRE_TAG(2, WIRE_LENGTH), 2, RESPONSE, 0}},
        [MESSAGE_REQUEST_BODY] = {4, {WIRE_TAG(3, WIRE_LENGTH), 2, RESPONSE, 0}},
        [MESSAGE_RESPONSE_BODY] = {4, {WIRE_TAG(4, WIRE_LENGTH), 2, RESPONSE, 0}},
        [MESSAGE_REQUEST_TRAILERS] = {2, {WIRE_TAG(5, WIRE_LENGTH), 0}},
        [MESSAGE_RESPONSE_TRAILERS] = {2, {WIRE_TAG(6, WIRE_LENGTH), 0}},
    };
    return buffer_append(serialised, bytes_of(plain[kind].bytes, plain[kind].len));
}
