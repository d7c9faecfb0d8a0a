// SPDX-License-Identifier: Apache-2.0
// A serialised ProcessingRequest into a struct message.
#include <string.h>

#include "extproc/message/ext_proc.pb-c.h"
#include "extproc/message/message.h"

// Each allocation gets the body's padding: the library asks for a body's exact size.
static void *alloc_padded(void *context, size_t size) {
    uint8_t *memory = arena_alloc(context, size + MESSAGE_BODY_PADDING);
    if (memory != NULL) memset(memory + size, 0, MESSAGE_BODY_PADDING);
    return memory;
}

static void free_nothing(void *context, void *memory) {
    (void)context;
    (void)memory;
}

static struct bytes borrow(ProtobufCBinaryData data) {
    return bytes_of(data.data, data.len);
}

static enum status read_headers(const ExtProc__HttpHeaders *from, struct arena *arena,
                                struct message *message) {
    message->end_of_stream = from->end_of_stream;
    if (from->headers == NULL) return STATUS_OK;
    size_t count = from->headers->n_headers;
    message->headers = arena_alloc(arena, count * sizeof(*message->headers));
    if (message->headers == NULL) return STATUS_NO_MEMORY;
    message->header_count = count;
    for (size_t i = 0; i < count; i++) {
        const ExtProc__HeaderValue *header = from->headers->headers[i];
        // Envoy fills raw_value; old versions filled value.
        bool is_raw = header->raw_value.len != 0;
        message->headers[i].name = borrow(header->key);
        message->headers[i].value = borrow(is_raw ? header->raw_value : header->value);
    }
    return STATUS_OK;
}

static void read_body(const ExtProc__HttpBody *from, struct message *message) {
    message->end_of_stream = from->end_of_stream;
    message->body = from->body.len != 0 ? from->body.data : NULL;
    message->body_bytes = from->body.len;
}

// Envoy's own name of a route, and the one that the Envoy AI Gateway gives it.
static bool is_route_name(struct bytes key) {
    return bytes_equal(key, BYTES_LITERAL("xds.route_name")) ||
           bytes_equal(key, BYTES_LITERAL("xds.route_metadata.filter_metadata"
                                          "['aigateway.envoy.io']['aigw_route_name']"));
}

// The upstream host exists only once the router has chosen one, so these attributes (a filter that
// has none of them configured cannot be told apart) come from a filter behind the router. A client
// has no influence on them.
static void read_attribute(const ExtProc__AttributeEntry *entry, struct message *message) {
    struct bytes key = borrow(entry->key);
    if (bytes_start_with(key, BYTES_LITERAL("xds.upstream_host"))) {
        message->is_from_upstream_filter = true;
    }
    if (is_route_name(key) && entry->value != NULL) {
        message->route = borrow(entry->value->string_value);
    }
}

static void read_attributes(const ExtProc__ProcessingRequest *request, struct message *message) {
    for (size_t i = 0; i < request->n_attributes; i++) {
        const ExtProc__AttributeStruct *value = request->attributes[i]->value;
        for (size_t j = 0; value != NULL && j < value->n_fields; j++) {
            read_attribute(value->fields[j], message);
        }
    }
}

static enum status read_kind(const ExtProc__ProcessingRequest *request, struct arena *arena,
                             struct message *message) {
    switch (request->request_case) {
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_REQUEST_HEADERS:
        message->kind = MESSAGE_REQUEST_HEADERS;
        return read_headers(request->request_headers, arena, message);
    case EXT_PROC__PROCESSING_REQUEST__REQUEST_RESPONSE_HEADERS:
        message->kind = MESSAGE_RESPONSE_HEADERS;
        return read_headers(request->response_headers, arena, message);
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

enum status message_decode(struct bytes serialised, struct arena *arena,
                           struct message *ret_message) {
    ProtobufCAllocator allocator = {
        .alloc = alloc_padded,
        .free = free_nothing,
        .allocator_data = arena,
    };
    ExtProc__ProcessingRequest *request = ext_proc__processing_request__unpack(
        &allocator, serialised.len, serialised.data);
    if (request == NULL) return arena->is_exhausted ? STATUS_NO_MEMORY : STATUS_MALFORMED;

    struct message message = {.is_observed = request->observability_mode};
    read_attributes(request, &message);
    const ExtProc__ProtocolConfiguration *modes = request->protocol_config;
    if (modes != NULL) {
        message.has_body_modes = true;
        message.request_body_mode = modes->request_body_mode;
        message.response_body_mode = modes->response_body_mode;
    }
    enum status status = read_kind(request, arena, &message);
    if (status != STATUS_OK) return status;
    *ret_message = message;
    return STATUS_OK;
}

struct bytes message_find_header(const struct message *message, struct bytes name) {
    for (size_t i = 0; i < message->header_count; i++) {
        if (bytes_equal(message->headers[i].name, name)) return message->headers[i].value;
    }
    return BYTES_EMPTY;
}
