// SPDX-License-Identifier: Apache-2.0
// A serialised ProcessingRequest into a struct message.
#include <string.h>

#include "extproc/message/ext_proc.pb-c.h"
#include "extproc/message/message.h"
#include "extproc/message/plain.h"
#include "extproc/message/wire.h"

static void *alloc(void *context, size_t size) {
    return arena_alloc(context, size);
}

static void free_nothing(void *context, void *memory) {
    (void)context;
    (void)memory;
}

static struct bytes borrow(ProtobufCBinaryData data) {
    return bytes_of(data.data, data.len);
}

// A key and a raw_value that are short, which is what Envoy sends.
static inline bool read_short_header(struct bytes from, struct message_header *ret_header) {
    return wire_take_short(&from, WIRE_TAG(1, WIRE_LENGTH), &ret_header->name) &&
           wire_take_short(&from, WIRE_TAG(3, WIRE_LENGTH), &ret_header->value) && from.len == 0 &&
           ret_header->value.len != 0;
}

// Old versions of Envoy filled value.
static bool read_header(struct bytes from, struct message_header *ret_header) {
    if (LIKELY(read_short_header(from, ret_header))) return true;
    struct wire_field field;
    struct bytes name = BYTES_EMPTY, value = BYTES_EMPTY, raw_value = BYTES_EMPTY;
    while (from.len != 0) {
        if (!wire_read_field(&from, &field)) return false;
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_LENGTH): name = field.bytes; break;
        case WIRE_TAG(2, WIRE_LENGTH): value = field.bytes; break;
        case WIRE_TAG(3, WIRE_LENGTH): raw_value = field.bytes; break;
        default: break;
        }
    }
    *ret_header = (struct message_header){name, raw_value.len != 0 ? raw_value : value};
    return true;
}

// Room for this many headers is taken at once; most requests have less.
enum { FIRST_HEADERS = 32 };

// Without the library, which would take a dozen allocations and a thousand instructions for each.
static enum status read_headers(struct bytes map, struct arena *arena, struct message *message) {
    size_t count = 0, room = FIRST_HEADERS;
    struct message_header *headers = arena_alloc(arena, room * sizeof(*headers));
    while (headers != NULL && map.len != 0) {
        struct wire_field field;
        if (!wire_read_field(&map, &field)) return STATUS_MALFORMED;
        if (field.tag != WIRE_TAG(1, WIRE_LENGTH)) continue;
        if (count == room) {
            headers = arena_grow(arena, headers, room * sizeof(*headers),
                                 2 * room * sizeof(*headers));
            room *= 2;
            if (headers == NULL) break;
        }
        if (!read_header(field.bytes, &headers[count++])) return STATUS_MALFORMED;
    }
    message->headers = headers;
    message->header_count = count;
    return headers != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static void read_body(const ExtProc__HttpBody *from, struct message *message) {
    message->end_of_stream = from->end_of_stream;
    message->body = borrow(from->body);
}

#define GATEWAY(where, name) "xds." where ".filter_metadata['aigateway.envoy.io']['" name "']"

// The attributes that the Envoy AI Gateway has its filter behind the router send, and Envoy's own
// name of a route. A client has no influence on them.
static const struct {
    struct bytes key;
    size_t offset;  // of a struct bytes in a message
    bool is_only_behind_router;
} attributes[] = {
    {BYTES_LITERAL("xds.route_name"), offsetof(struct message, route), false},
    {BYTES_LITERAL(GATEWAY("route_metadata", "aigw_route_name")), offsetof(struct message, route),
     false},
    {BYTES_LITERAL(GATEWAY("cluster_metadata", "per_route_rule_backend_name")),
     offsetof(struct message, backend), true},
    // Comes last because it is the more exact one.
    {BYTES_LITERAL(GATEWAY("upstream_host_metadata", "per_route_rule_backend_name")),
     offsetof(struct message, backend), true},
};

static struct bytes find_attribute(const ExtProc__AttributeStruct *fields, struct bytes key) {
    for (size_t i = 0; i < fields->n_fields; i++) {
        const ExtProc__AttributeEntry *entry = fields->fields[i];
        if (entry->value == NULL || !bytes_equal(borrow(entry->key), key)) continue;
        return borrow(entry->value->string_value);
    }
    return BYTES_EMPTY;
}

static void read_attributes(const ExtProc__AttributeStruct *fields, struct message *message) {
    for (size_t i = 0; i < COUNT_OF(attributes); i++) {
        struct bytes value = find_attribute(fields, attributes[i].key);
        if (value.len == 0) continue;
        memcpy((char *)message + attributes[i].offset, &value, sizeof(value));
        if (attributes[i].is_only_behind_router) message->is_from_upstream_filter = true;
    }
    // The host exists only once the router has chosen one.
    for (size_t i = 0; i < fields->n_fields; i++) {
        struct bytes key = borrow(fields->fields[i]->key);
        if (!bytes_start_with(key, BYTES_LITERAL("xds.upstream_host"))) continue;
        message->is_from_upstream_filter = true;
    }
}

// A filter that asks for attributes and for no body is one behind the router, whose attributes
// nobody has set.
static void read_origin(const ExtProc__ProcessingRequest *request, struct message *message) {
    size_t count = 0;
    for (size_t i = 0; i < request->n_attributes; i++) {
        const ExtProc__AttributeStruct *fields = request->attributes[i]->value;
        if (fields == NULL) continue;
        read_attributes(fields, message);
        count += fields->n_fields;
    }
    bool wants_no_body = message->has_modes && message->modes.request_body == MESSAGE_BODY_NONE &&
                         message->modes.response_body == MESSAGE_BODY_NONE;
    if (request->n_attributes != 0 && count == 0 && wants_no_body) {
        message->is_from_upstream_filter = true;
    }
}

static enum status read_kind(const ExtProc__ProcessingRequest *request, struct arena *arena,
                             struct message *message) {
    switch (request->request_case) {
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_REQUEST_HEADERS:
        message->kind = MESSAGE_REQUEST_HEADERS;
        message->end_of_stream = request->request_headers->end_of_stream;
        return read_headers(borrow(request->request_headers->headers), arena, message);
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_RESPONSE_HEADERS:
        message->kind = MESSAGE_RESPONSE_HEADERS;
        message->end_of_stream = request->response_headers->end_of_stream;
        return read_headers(borrow(request->response_headers->headers), arena, message);
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_REQUEST_BODY:
        message->kind = MESSAGE_REQUEST_BODY;
        read_body(request->request_body, message);
        return STATUS_OK;
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_RESPONSE_BODY:
        message->kind = MESSAGE_RESPONSE_BODY;
        read_body(request->response_body, message);
        return STATUS_OK;
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_REQUEST_TRAILERS:
        message->kind = MESSAGE_REQUEST_TRAILERS;
        return STATUS_OK;
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_RESPONSE_TRAILERS:
        message->kind = MESSAGE_RESPONSE_TRAILERS;
        return STATUS_OK;
    default: return STATUS_UNSUPPORTED;
    }
}

static enum status decode_any(struct bytes serialised, struct arena *arena,
                              struct message *ret_message) {
    ProtobufCAllocator allocator = {
        .alloc = alloc,
        .free = free_nothing,
        .allocator_data = arena,
    };
    ExtProc__ProcessingRequest *request = ext_proc__processing_request__unpack(
        &allocator, serialised.len, serialised.data);
    if (request == NULL) return arena->is_exhausted ? STATUS_NO_MEMORY : STATUS_MALFORMED;

    struct message message = {.is_observed = request->observability_mode};
    const ExtProc__ProtocolConfiguration *modes = request->protocol_config;
    if (modes != NULL) {
        message.has_modes = true;
        message.modes = (struct message_modes){
            .request_body = modes->request_body_mode,
            .response_body = modes->response_body_mode,
            .sends_body_early = modes->send_body_without_waiting_for_header_response,
        };
    }
    read_origin(request, &message);
    enum status status = read_kind(request, arena, &message);
    if (status != STATUS_OK) return status;
    *ret_message = message;
    return STATUS_OK;
}

enum status message_decode(struct bytes serialised, struct arena *arena,
                           struct message *ret_message) {
    struct message message UNINITIALIZED;
    struct bytes headers;
    if (!plain_decode(serialised, &message, &headers)) {
        return decode_any(serialised, arena, ret_message);
    }
    bool has_headers = message.kind == MESSAGE_REQUEST_HEADERS ||
                       message.kind == MESSAGE_RESPONSE_HEADERS;
    enum status status = has_headers ? read_headers(headers, arena, &message) : STATUS_OK;
    if (status == STATUS_OK) *ret_message = message;
    return status;
}
