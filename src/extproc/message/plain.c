// SPDX-License-Identifier: Apache-2.0
// Field by field. A part that comes twice would have to be merged, and one that is not known may
// mean something: both are left to the library.
#include "extproc/message/plain.h"

#include "extproc/message/wire.h"

static bool read_http_headers(struct bytes from, struct message *message, struct bytes *headers) {
    struct wire_field field;
    bool has_map = false;
    while (from.len != 0) {
        if (!wire_read_field(&from, &field)) return false;
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_LENGTH):
            if (has_map) return false;
            has_map = true;
            *headers = field.bytes;
            break;
        case WIRE_TAG(3, WIRE_VARINT): message->end_of_stream = field.number != 0; break;
        default: return false;
        }
    }
    return true;
}

static bool read_http_body(struct bytes from, struct message *message) {
    struct wire_field field;
    while (from.len != 0) {
        if (!wire_read_field(&from, &field)) return false;
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_LENGTH): message->body = field.bytes; break;
        case WIRE_TAG(2, WIRE_VARINT): message->end_of_stream = field.number != 0; break;
        default: return false;
        }
    }
    return true;
}

static bool read_modes(struct bytes from, struct message *message) {
    struct message_modes *modes = &message->modes;
    struct wire_field field;
    if (message->has_modes) return false;
    message->has_modes = true;
    while (from.len != 0) {
        if (!wire_read_field(&from, &field) || field.number > UINT32_MAX) return false;
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_VARINT): modes->request_body = (uint32_t)field.number; break;
        case WIRE_TAG(2, WIRE_VARINT): modes->response_body = (uint32_t)field.number; break;
        case WIRE_TAG(3, WIRE_VARINT): modes->sends_body_early = field.number != 0; break;
        default: return false;
        }
    }
    return true;
}

static bool read_part(const struct wire_field *field, struct message *message,
                      struct bytes *headers) {
    static const enum message_kind kinds[] = {
        [2] = MESSAGE_REQUEST_HEADERS,
        [3] = MESSAGE_RESPONSE_HEADERS,
        [4] = MESSAGE_REQUEST_BODY,
        [5] = MESSAGE_RESPONSE_BODY,
    };
    if (message->kind != MESSAGE_KIND_COUNT) return false;
    message->kind = kinds[field->tag >> 3];
    bool is_body = message->kind == MESSAGE_REQUEST_BODY || message->kind == MESSAGE_RESPONSE_BODY;
    return is_body ? read_http_body(field->bytes, message)
                   : read_http_headers(field->bytes, message, headers);
}

bool plain_decode(struct bytes serialised, struct message *ret_message, struct bytes *ret_headers) {
    struct wire_field field;
    bool is_plain = true;
    *ret_message = (struct message){.kind = MESSAGE_KIND_COUNT};
    *ret_headers = BYTES_EMPTY;
    while (serialised.len != 0 && is_plain) {
        if (!wire_read_field(&serialised, &field)) return false;
        switch (field.tag) {
        case WIRE_TAG(2, WIRE_LENGTH):
        case WIRE_TAG(3, WIRE_LENGTH):
        case WIRE_TAG(4, WIRE_LENGTH):
        case WIRE_TAG(5, WIRE_LENGTH):
            is_plain = read_part(&field, ret_message, ret_headers);
            break;
        case WIRE_TAG(8, WIRE_LENGTH): break;  // metadata_context
        case WIRE_TAG(10, WIRE_VARINT): ret_message->is_observed = field.number != 0; break;
        case WIRE_TAG(11, WIRE_LENGTH): is_plain = read_modes(field.bytes, ret_message); break;
        default: return false;
        }
    }
    return is_plain && ret_message->kind != MESSAGE_KIND_COUNT;
}
