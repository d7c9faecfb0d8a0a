// SPDX-License-Identifier: Apache-2.0
// A struct message_answer into a serialised ProcessingResponse, whose field numbers are in
// ext_proc.proto. Everything is written from the end to the front: when the place of a length
// comes, what it counts is there.
#include <assert.h>

#include "base/attributes.h"
#include "extproc/message/body.h"
#include "extproc/message/message.h"
#include "extproc/message/wire.h"

// Numbers of HeaderValueOption.HeaderAppendAction and of ProcessingMode.HeaderSendMode.
enum { OVERWRITE_IF_EXISTS_OR_ADD = 2, HEADER_SEND = 1 };

// Room for the tags and lengths that stand around: a part is a header or an entry of the metadata.
enum { PREFIX_MOST_BYTES = 6, PART_MOST_BYTES = 6 * PREFIX_MOST_BYTES, REST_MOST_BYTES = 256 };

// What is written stands from `next` to the end of the room.
struct writer {
    uint8_t *first, *next;
};

static void put_bytes(struct writer *writer, struct bytes bytes) {
    assert((size_t)(writer->next - writer->first) >= bytes.len);
    writer->next -= bytes.len;
    if (bytes.len != 0) memcpy(writer->next, bytes.data, bytes.len);
}

static void put_varint(struct writer *writer, uint64_t value) {
    uint8_t bytes[WIRE_VARINT_MOST_BYTES];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) bytes[len++] = (uint8_t)(value | 0x80);
    bytes[len++] = (uint8_t)value;
    put_bytes(writer, bytes_of(bytes, len));
}

static void put_byte(struct writer *writer, uint8_t byte) {
    assert(writer->next != writer->first);
    *--writer->next = byte;
}

// Field numbers are small: a tag is a byte.
static void put_tag(struct writer *writer, unsigned number, unsigned type) {
    put_byte(writer, (uint8_t)WIRE_TAG(number, type));
}

static void put_number(struct writer *writer, unsigned number, uint64_t value) {
    if (value == 0) return;
    put_varint(writer, value);
    put_tag(writer, number, WIRE_VARINT);
}

// What was put since `next` stood at `end` becomes the field of this number.
static inline void close_field(struct writer *writer, unsigned number, const uint8_t *end) {
    size_t len = (size_t)(end - writer->next);
    if (LIKELY(len < 0x80)) {
        put_byte(writer, (uint8_t)len);
    } else {
        put_varint(writer, len);
    }
    put_tag(writer, number, WIRE_LENGTH);
}

static void put_field(struct writer *writer, unsigned number, struct bytes bytes) {
    const uint8_t *end = writer->next;
    put_bytes(writer, bytes);
    close_field(writer, number, end);
}

/* CommonResponse */

static void put_set_header(struct writer *writer, struct message_header header) {
    const uint8_t *option_end = writer->next;
    put_number(writer, 3, OVERWRITE_IF_EXISTS_OR_ADD);
    const uint8_t *header_end = writer->next;
    // Envoy looks at raw_value alone; a header with `value` only would be emptied.
    put_field(writer, 3, header.value);
    put_field(writer, 1, header.name);
    close_field(writer, 1, header_end);
    close_field(writer, 1, option_end);
}

static void put_common(struct writer *writer, const struct message_answer *answer) {
    put_number(writer, 5, answer->clears_route_cache);
    if (answer->set_header_count == 0 && answer->remove_header_count == 0) return;
    const uint8_t *end = writer->next;
    for (size_t i = answer->remove_header_count; i-- > 0;) {
        put_field(writer, 2, answer->remove_headers[i]);
    }
    for (size_t i = answer->set_header_count; i-- > 0;) {
        put_set_header(writer, answer->set_headers[i]);
    }
    close_field(writer, 2, end);
}

static void put_kind(struct writer *writer, const struct message_answer *answer) {
    static const uint8_t numbers[MESSAGE_KIND_COUNT] = {
        [MESSAGE_REQUEST_HEADERS] = 1,  [MESSAGE_RESPONSE_HEADERS] = 2,
        [MESSAGE_REQUEST_BODY] = 3,     [MESSAGE_RESPONSE_BODY] = 4,
        [MESSAGE_REQUEST_TRAILERS] = 5, [MESSAGE_RESPONSE_TRAILERS] = 6,
    };
    const uint8_t *end = writer->next;
    bool is_trailers = answer->kind == MESSAGE_REQUEST_TRAILERS ||
                       answer->kind == MESSAGE_RESPONSE_TRAILERS;
    if (!is_trailers) {
        put_common(writer, answer);
        close_field(writer, 1, end);
    }
    close_field(writer, numbers[answer->kind], end);
}

/* the rest of a ProcessingResponse */

static void put_mode(struct writer *writer, const struct message_answer *answer) {
    if (!answer->overrides_mode) return;
    const uint8_t *end = writer->next;
    bool is_streamed = answer->response_body_mode == MESSAGE_BODY_STREAMED;
    put_number(writer, 6, is_streamed ? HEADER_SEND : 0);
    put_number(writer, 4, answer->response_body_mode);
    put_number(writer, 3, answer->request_body_mode);
    close_field(writer, 9, end);
}

// Field 2 of an entry: a google.protobuf.Value.
static void put_value(struct writer *writer, const struct message_metadata *metadata) {
    const uint8_t *end = writer->next;
    if (metadata->is_text) {
        put_field(writer, 3, metadata->text);
    } else {
        put_bytes(writer, bytes_of(&metadata->number, sizeof(metadata->number)));
        put_tag(writer, 2, WIRE_FIXED64);
    }
    close_field(writer, 2, end);
}

// A Struct, the value of the one entry of another one.
static void put_metadata(struct writer *writer, const struct message_answer *answer) {
    if (answer->metadata_count == 0) return;
    const uint8_t *end = writer->next;
    for (size_t i = answer->metadata_count; i-- > 0;) {
        const uint8_t *entry_end = writer->next;
        put_value(writer, &answer->metadata[i]);
        put_field(writer, 1, answer->metadata[i].key);
        close_field(writer, 1, entry_end);
    }
    close_field(writer, 5, end);
    close_field(writer, 2, end);
    put_field(writer, 1, BYTES_LITERAL("io.envoy.ai_gateway"));
    close_field(writer, 1, end);
    close_field(writer, 8, end);
}

static void put_immediate(struct writer *writer, const struct message_immediate *immediate) {
    const uint8_t *end = writer->next;
    put_field(writer, 5, bytes_of_text(immediate->details));
    put_field(writer, 3, immediate->body);
    const uint8_t *headers_end = writer->next;
    put_set_header(writer, (struct message_header){
                               .name = BYTES_LITERAL("content-type"),
                               .value = bytes_of_text(immediate->content_type),
                           });
    close_field(writer, 2, headers_end);
    const uint8_t *status_end = writer->next;
    put_number(writer, 1, immediate->http_status);
    close_field(writer, 1, status_end);
    close_field(writer, 7, end);
}

static bool changes_body(const struct message_answer *answer) {
    return answer->immediate == NULL && answer->body_change != MESSAGE_BODY_STAYS;
}

// What all but a changed body can take at most.
static size_t most_bytes(const struct message_answer *answer) {
    size_t most = REST_MOST_BYTES;
    for (size_t i = 0; i < answer->set_header_count; i++) {
        const struct message_header *header = &answer->set_headers[i];
        most += PART_MOST_BYTES + header->name.len + header->value.len;
    }
    for (size_t i = 0; i < answer->remove_header_count; i++) {
        most += PREFIX_MOST_BYTES + answer->remove_headers[i].len;
    }
    for (size_t i = 0; i < answer->metadata_count; i++) {
        most += PART_MOST_BYTES + answer->metadata[i].key.len + answer->metadata[i].text.len;
    }
    const struct message_immediate *immediate = answer->immediate;
    if (immediate == NULL) return most;
    return most + strlen(immediate->content_type) + immediate->body.len +
           strlen(immediate->details);
}

// All but a changed body and what stands around it.
static enum status encode_much(const struct message_answer *answer, struct buffer *serialised) {
    uint8_t *room;
    size_t most = most_bytes(answer);
    enum status status = buffer_reserve(serialised, most, &room);
    if (status != STATUS_OK) return status;
    struct writer writer = {.first = room, .next = room + most};
    if (answer->immediate != NULL) {
        put_immediate(&writer, answer->immediate);
    } else {
        put_mode(&writer, answer);
        put_metadata(&writer, answer);
        if (!changes_body(answer)) put_kind(&writer, answer);
    }
    size_t len = (size_t)(room + most - writer.next);
    memmove(room, writer.next, len);
    serialised->len += len;
    return STATUS_OK;
}

static enum status encode_body(const struct message_answer *answer, struct arena *arena,
                               struct buffer *serialised) {
    size_t most = most_bytes(answer);
    uint8_t *room = arena_alloc(arena, most);
    if (room == NULL) return STATUS_NO_MEMORY;
    struct writer writer = {.first = room, .next = room + most};
    put_common(&writer, answer);
    size_t len = (size_t)(room + most - writer.next);
    return body_encode(answer, bytes_of(writer.next, len), serialised);
}

// What goes beyond "go on", or beyond the body.
static bool says_much(const struct message_answer *answer) {
    return answer->immediate != NULL || answer->set_header_count != 0 ||
           answer->remove_header_count != 0 || answer->clears_route_cache ||
           answer->overrides_mode || answer->metadata_count != 0;
}

enum status message_encode(const struct message_answer *answer, struct arena *arena,
                           struct buffer *serialised) {
    if (!says_much(answer)) {
        return changes_body(answer) ? body_encode(answer, BYTES_EMPTY, serialised)
                                    : body_encode_plain(answer->kind, serialised);
    }
    size_t before = serialised->len;
    enum status status = encode_much(answer, serialised);
    if (status == STATUS_OK && changes_body(answer))
        status = encode_body(answer, arena, serialised);
    if (status != STATUS_OK) serialised->len = before;
    return status;
}
