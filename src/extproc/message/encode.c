// SPDX-License-Identifier: Apache-2.0
// A struct message_answer into a serialised ProcessingResponse. The library's structures point to
// each other, so all that one answer can need stands in one struct on the stack.
#include <assert.h>

#include "extproc/message/body.h"
#include "extproc/message/ext_proc.pb-c.h"
#include "extproc/message/message.h"

// Numbers of HeaderValueOption.HeaderAppendAction and of ProcessingMode.HeaderSendMode.
enum { OVERWRITE_IF_EXISTS_OR_ADD = 2, HEADER_SEND = 1 };

// A protobuf Struct with its entries, each of which refers to a value.
struct struct_form {
    ExtProc__Struct fields;
    ExtProc__StructEntry entries[MESSAGE_METADATA_MOST];
    ExtProc__StructEntry *entry_list[MESSAGE_METADATA_MOST];
    ExtProc__Value values[MESSAGE_METADATA_MOST];
};

struct mutation_form {
    ExtProc__HeaderMutation mutation;
    ExtProc__HeaderValueOption options[MESSAGE_SET_HEADERS_MOST];
    ExtProc__HeaderValueOption *option_list[MESSAGE_SET_HEADERS_MOST];
    ExtProc__HeaderValue headers[MESSAGE_SET_HEADERS_MOST];
};

struct form {
    ExtProc__ProcessingResponse response;
    ExtProc__HeadersResponse headers;
    ExtProc__BodyResponse body;
    ExtProc__TrailersResponse trailers;
    ExtProc__CommonResponse common;
    struct mutation_form mutation;
    ExtProc__ImmediateResponse immediate;
    ExtProc__HttpStatus status;
    ExtProc__ProcessingMode mode;
    struct struct_form metadata;
    struct struct_form namespaces;  // of which there is one
};

// The encoder only reads, but its structure is not const.
static ProtobufCBinaryData lend(struct bytes bytes) {
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.data};
}

static ProtobufCBinaryData lend_text(const char *text) {
    return lend(bytes_of_text(text));
}

static void set_header(struct mutation_form *form, struct message_header header) {
    size_t i = form->mutation.n_set_headers++;
    assert(i < MESSAGE_SET_HEADERS_MOST);
    ext_proc__header_value__init(&form->headers[i]);
    form->headers[i].key = lend(header.name);
    // Envoy looks at raw_value alone; a header with `value` only would be emptied.
    form->headers[i].raw_value = lend(header.value);
    ext_proc__header_value_option__init(&form->options[i]);
    form->options[i].header = &form->headers[i];
    form->options[i].append_action = OVERWRITE_IF_EXISTS_OR_ADD;
    form->option_list[i] = &form->options[i];
    form->mutation.set_headers = form->option_list;
}

static enum status remove_headers(struct mutation_form *form, const struct bytes *names,
                                  size_t count, struct arena *arena) {
    if (count == 0) return STATUS_OK;
    ProtobufCBinaryData *list = arena_alloc(arena, count * sizeof(*list));
    if (list == NULL) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < count; i++) list[i] = lend(names[i]);
    form->mutation.remove_headers = list;
    form->mutation.n_remove_headers = count;
    return STATUS_OK;
}

static enum status fill_common(struct form *form, const struct message_answer *answer,
                               struct arena *arena) {
    ext_proc__common_response__init(&form->common);
    form->common.clear_route_cache = answer->clears_route_cache;
    if (answer->set_header_count == 0 && answer->remove_header_count == 0) return STATUS_OK;
    ext_proc__header_mutation__init(&form->mutation.mutation);
    form->common.header_mutation = &form->mutation.mutation;
    for (size_t i = 0; i < answer->set_header_count; i++) {
        set_header(&form->mutation, answer->set_headers[i]);
    }
    return remove_headers(&form->mutation, answer->remove_headers, answer->remove_header_count,
                          arena);
}

static const ExtProc__ProcessingResponse__ResponseCase response_cases[MESSAGE_KIND_COUNT] = {
    [MESSAGE_REQUEST_HEADERS] = EXT_PROC__PROCESSING_RESPONSE__RESPONSE_REQUEST_HEADERS,
    [MESSAGE_REQUEST_BODY] = EXT_PROC__PROCESSING_RESPONSE__RESPONSE_REQUEST_BODY,
    [MESSAGE_REQUEST_TRAILERS] = EXT_PROC__PROCESSING_RESPONSE__RESPONSE_REQUEST_TRAILERS,
    [MESSAGE_RESPONSE_HEADERS] = EXT_PROC__PROCESSING_RESPONSE__RESPONSE_RESPONSE_HEADERS,
    [MESSAGE_RESPONSE_BODY] = EXT_PROC__PROCESSING_RESPONSE__RESPONSE_RESPONSE_BODY,
    [MESSAGE_RESPONSE_TRAILERS] = EXT_PROC__PROCESSING_RESPONSE__RESPONSE_RESPONSE_TRAILERS,
};

static enum status fill_kind(struct form *form, const struct message_answer *answer,
                             struct arena *arena) {
    ExtProc__ProcessingResponse *response = &form->response;
    response->response_case = response_cases[answer->kind];
    if (answer->kind == MESSAGE_REQUEST_TRAILERS || answer->kind == MESSAGE_RESPONSE_TRAILERS) {
        ext_proc__trailers_response__init(&form->trailers);
        response->request_trailers = &form->trailers;  // a union with response_trailers
        return STATUS_OK;
    }
    if (answer->kind == MESSAGE_REQUEST_BODY || answer->kind == MESSAGE_RESPONSE_BODY) {
        ext_proc__body_response__init(&form->body);
        form->body.response = &form->common;
        response->request_body = &form->body;
    } else {
        ext_proc__headers_response__init(&form->headers);
        form->headers.response = &form->common;
        response->request_headers = &form->headers;
    }
    return fill_common(form, answer, arena);
}

static void fill_mode(struct form *form, const struct message_answer *answer) {
    if (!answer->overrides_mode) return;
    ext_proc__processing_mode__init(&form->mode);
    form->mode.request_body_mode = answer->request_body_mode;
    form->mode.response_body_mode = answer->response_body_mode;
    bool is_streamed = answer->response_body_mode == MESSAGE_BODY_STREAMED;
    form->mode.response_trailer_mode = is_streamed ? HEADER_SEND : 0;
    form->response.mode_override = &form->mode;
}

static ExtProc__Value *add_entry(struct struct_form *form, const char *key) {
    size_t i = form->fields.n_fields++;
    assert(i < MESSAGE_METADATA_MOST);
    ext_proc__value__init(&form->values[i]);
    ext_proc__struct_entry__init(&form->entries[i]);
    form->entries[i].key = lend_text(key);
    form->entries[i].value = &form->values[i];
    form->entry_list[i] = &form->entries[i];
    form->fields.fields = form->entry_list;
    return &form->values[i];
}

static void fill_metadata(struct form *form, const struct message_answer *answer) {
    if (answer->metadata_count == 0) return;
    ext_proc__struct__init(&form->metadata.fields);
    for (size_t i = 0; i < answer->metadata_count; i++) {
        const struct message_metadata *from = &answer->metadata[i];
        ExtProc__Value *value = add_entry(&form->metadata, from->key);
        if (from->is_text) {
            value->kind_case = EXT_PROC__VALUE__KIND_STRING_VALUE;
            value->string_value = lend(from->text);
        } else {
            value->kind_case = EXT_PROC__VALUE__KIND_NUMBER_VALUE;
            value->number_value = from->number;
        }
    }
    ext_proc__struct__init(&form->namespaces.fields);
    ExtProc__Value *namespace = add_entry(&form->namespaces, "io.envoy.ai_gateway");
    namespace->kind_case = EXT_PROC__VALUE__KIND_STRUCT_VALUE;
    namespace->struct_value = &form->metadata.fields;
    form->response.dynamic_metadata = &form->namespaces.fields;
}

static void fill_immediate(struct form *form, const struct message_immediate *immediate) {
    ext_proc__http_status__init(&form->status);
    form->status.code = immediate->http_status;
    ext_proc__header_mutation__init(&form->mutation.mutation);
    set_header(&form->mutation, (struct message_header){
                                    .name = BYTES_LITERAL("content-type"),
                                    .value = bytes_of_text(immediate->content_type),
                                });
    ext_proc__immediate_response__init(&form->immediate);
    form->immediate.status = &form->status;
    form->immediate.headers = &form->mutation.mutation;
    form->immediate.body = lend(immediate->body);
    form->immediate.details = lend_text(immediate->details);
    form->response.response_case = EXT_PROC__PROCESSING_RESPONSE__RESPONSE_IMMEDIATE_RESPONSE;
    form->response.immediate_response = &form->immediate;
}

// The answer's CommonResponse by itself.
static enum status encode_common(struct form *form, const struct message_answer *answer,
                                 struct arena *arena, struct bytes *ret_common) {
    enum status status = fill_common(form, answer, arena);
    if (status != STATUS_OK) return status;
    size_t size = ext_proc__common_response__get_packed_size(&form->common);
    uint8_t *room = arena_alloc(arena, size);
    if (room == NULL) return STATUS_NO_MEMORY;
    *ret_common = bytes_of(room, ext_proc__common_response__pack(&form->common, room));
    return STATUS_OK;
}

static bool changes_body(const struct message_answer *answer) {
    return answer->immediate == NULL && answer->body_change != MESSAGE_BODY_STAYS;
}

static enum status encode_form(const struct message_answer *answer, struct arena *arena,
                               struct buffer *serialised) {
    struct form form UNINITIALIZED;
    struct bytes common = BYTES_EMPTY;
    enum status status = STATUS_OK;
    ext_proc__processing_response__init(&form.response);
    if (answer->immediate != NULL) {
        fill_immediate(&form, answer->immediate);
    } else {
        status = changes_body(answer) ? encode_common(&form, answer, arena, &common)
                                      : fill_kind(&form, answer, arena);
        if (status != STATUS_OK) return status;
        fill_mode(&form, answer);
        fill_metadata(&form, answer);
    }
    uint8_t *room;
    size_t size = ext_proc__processing_response__get_packed_size(&form.response);
    status = buffer_reserve(serialised, size, &room);
    if (status != STATUS_OK) return status;
    serialised->len += ext_proc__processing_response__pack(&form.response, room);
    return changes_body(answer) ? body_encode(answer, common, serialised) : STATUS_OK;
}

// What a form is needed for.
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
    enum status status = encode_form(answer, arena, serialised);
    if (status != STATUS_OK) serialised->len = before;
    return status;
}
