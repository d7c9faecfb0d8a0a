// SPDX-License-Identifier: Apache-2.0
// Plays Envoy to a process_stream: packs ProcessingRequests with the protobuf library and unpacks
// the answers, so that the tests see what Envoy would.
#pragma once

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "extproc/message/ext_proc.pb-c.h"
#include "extproc/metrics.h"
#include "extproc/process/process.h"

struct envoy {
    struct process_options options;
    struct metrics metrics;
    struct arena arena;  // the stream's
    struct process_stream *stream;
    struct process_verdict verdict;         // of the last message
    ExtProc__ProcessingResponse *answer;    // of the last message, NULL: none
    struct buffer bytes;                    // that answer
    int64_t now_ns;                         // what the clock says
    bool is_observed;                       // put into each message
    ExtProc__ProtocolConfiguration *modes;  // put into the next message
    bool is_upstream;                       // put into the next message
    const char *route, *backend;            // put into the next message
};

static inline void envoy_start(struct envoy *envoy) {
    *envoy = (struct envoy){
        .options = {.body_limit_bytes = 10000},
    };
    arena_init(&envoy->arena, NULL, 0, 1 << 20);
    envoy->stream = process_stream_new(&envoy->options, &envoy->metrics, &envoy->arena);
    assert_non_null(envoy->stream);
}

static inline void envoy_forget_answer(struct envoy *envoy) {
    if (envoy->answer != NULL) {
        ext_proc__processing_response__free_unpacked(envoy->answer, NULL);
    }
    envoy->answer = NULL;
    envoy->bytes.len = 0;
}

static inline void envoy_stop(struct envoy *envoy) {
    envoy_forget_answer(envoy);
    buffer_done(&envoy->bytes);
    process_stream_free(envoy->stream);
    arena_reset(&envoy->arena);
}

static inline void envoy_take(struct envoy *envoy, struct process_verdict verdict) {
    envoy->verdict = verdict;
    assert_int_equal(verdict.has_answer, envoy->bytes.len != 0);
    assert_non_null(verdict.grpc_message);
    if (!verdict.has_answer) return;
    envoy->answer = ext_proc__processing_response__unpack(NULL, envoy->bytes.len,
                                                          envoy->bytes.data);
    assert_non_null(envoy->answer);
}

static inline ProtobufCBinaryData envoy_text(const char *text) {
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

// One attribute more; NULL: not there.
static inline void envoy_add_attribute(ExtProc__AttributeStruct *fields,
                                       ExtProc__AttributeEntry *entry,
                                       ExtProc__AttributeValue *value, const char *key,
                                       const char *text) {
    if (text == NULL) return;
    ext_proc__attribute_entry__init(entry);
    ext_proc__attribute_value__init(value);
    entry->key = envoy_text(key);
    entry->value = value;
    value->string_value = envoy_text(text);
    fields->fields[fields->n_fields++] = entry;
}

// The message lies in memory of exactly its length, for the sanitizer.
static inline void envoy_send(struct envoy *envoy, ExtProc__ProcessingRequest *request) {
    ExtProc__AttributeEntry entries[3], *list[3];
    ExtProc__AttributeValue values[3];
    ExtProc__AttributeStruct fields = EXT_PROC__ATTRIBUTE_STRUCT__INIT;
    ExtProc__Attributes attribute = EXT_PROC__ATTRIBUTES__INIT, *attributes[] = {&attribute};
    fields.fields = list;
    attribute.value = &fields;
    envoy_add_attribute(&fields, &entries[0], &values[0], "xds.upstream_host_metadata",
                        envoy->is_upstream ? "" : NULL);
    envoy_add_attribute(&fields, &entries[1], &values[1], "xds.route_name", envoy->route);
    envoy_add_attribute(&fields, &entries[2], &values[2],
                        "xds.upstream_host_metadata.filter_metadata['aigateway.envoy.io']"
                        "['per_route_rule_backend_name']",
                        envoy->backend);
    request->attributes = attributes;
    request->n_attributes = fields.n_fields != 0;
    request->observability_mode = envoy->is_observed;
    request->protocol_config = envoy->modes;
    envoy->modes = NULL;
    envoy->is_upstream = false;
    envoy->route = envoy->backend = NULL;

    envoy_forget_answer(envoy);
    size_t size = ext_proc__processing_request__get_packed_size(request);
    uint8_t *bytes = malloc(size + (size == 0));
    assert_non_null(bytes);
    ext_proc__processing_request__pack(request, bytes);
    struct process_verdict verdict = process_stream_receive(envoy->stream, bytes_of(bytes, size),
                                                            envoy->now_ns, &envoy->bytes);
    free(bytes);
    envoy_take(envoy, verdict);
}

// An element of a HeaderMap; its length fits into two bytes.
static inline void envoy_add_header(struct buffer *map, const char *name, const char *value) {
    ExtProc__HeaderValue header = EXT_PROC__HEADER_VALUE__INIT;
    header.key = envoy_text(name);
    header.raw_value = envoy_text(value);
    size_t size = ext_proc__header_value__get_packed_size(&header);
    const uint8_t prefix[] = {0x0a, (uint8_t)(size | 0x80), (uint8_t)(size >> 7)};
    uint8_t *room;
    assert_true(size < 1 << 14);
    assert_int_equal(buffer_append(map, bytes_of(prefix, sizeof(prefix))), STATUS_OK);
    assert_int_equal(buffer_reserve(map, size, &room), STATUS_OK);
    map->len += ext_proc__header_value__pack(&header, room);
}

// Pairs of name and value, then NULL. `which` is a field number of ProcessingRequest.
static inline void envoy_send_headers(struct envoy *envoy, int which, bool is_last, ...) {
    ExtProc__ProcessingRequest request = EXT_PROC__PROCESSING_REQUEST__INIT;
    ExtProc__HttpHeaders headers = EXT_PROC__HTTP_HEADERS__INIT;
    struct buffer map = {0};
    va_list arguments;
    va_start(arguments, is_last);
    for (const char *name; (name = va_arg(arguments, const char *)) != NULL;) {
        envoy_add_header(&map, name, va_arg(arguments, const char *));
    }
    va_end(arguments);
    headers.headers = (ProtobufCBinaryData){map.len, map.data};
    headers.end_of_stream = is_last;
    request.request_case = (ExtProc__ProcessingRequest__RequestCase)which;
    request.request_headers = &headers;
    envoy_send(envoy, &request);
    buffer_done(&map);
}

#define ENVOY_REQUEST_HEADERS 2
#define ENVOY_RESPONSE_HEADERS 3
#define ENVOY_REQUEST_BODY 4
#define ENVOY_RESPONSE_BODY 5
#define ENVOY_REQUEST_TRAILERS 6
#define ENVOY_RESPONSE_TRAILERS 7

static inline void envoy_send_bytes(struct envoy *envoy, int which, const char *text, size_t length,
                                    bool is_last) {
    ExtProc__ProcessingRequest request = EXT_PROC__PROCESSING_REQUEST__INIT;
    ExtProc__HttpBody body = EXT_PROC__HTTP_BODY__INIT;
    body.body = (ProtobufCBinaryData){length, (uint8_t *)(uintptr_t)text};
    body.end_of_stream = is_last;
    request.request_case = (ExtProc__ProcessingRequest__RequestCase)which;
    request.request_body = &body;
    envoy_send(envoy, &request);
}

static inline void envoy_send_body(struct envoy *envoy, int which, const char *text, bool is_last) {
    envoy_send_bytes(envoy, which, text, strlen(text), is_last);
}

static inline void envoy_send_trailers(struct envoy *envoy, int which) {
    ExtProc__ProcessingRequest request = EXT_PROC__PROCESSING_REQUEST__INIT;
    ExtProc__HttpTrailers trailers = EXT_PROC__HTTP_TRAILERS__INIT;
    request.request_case = (ExtProc__ProcessingRequest__RequestCase)which;
    request.request_trailers = &trailers;
    envoy_send(envoy, &request);
}

// What more there is to say to it.
static inline void envoy_send_more(struct envoy *envoy) {
    assert_true(envoy->verdict.has_more);
    envoy_forget_answer(envoy);
    envoy_take(envoy, process_stream_more(envoy->stream, &envoy->bytes));
}

// A message that is not collected.
static inline void envoy_send_uncollected(struct envoy *envoy, enum process_refusal why) {
    envoy_forget_answer(envoy);
    envoy_take(envoy, process_stream_refuse(envoy->stream, why, envoy->now_ns, &envoy->bytes));
}

static inline uint64_t envoy_metric(const struct envoy *envoy, enum metric metric) {
    return metrics_read(&envoy->metrics, metric);
}

static inline bool envoy_is(ProtobufCBinaryData got, const char *want) {
    return got.len == strlen(want) && (got.len == 0 || memcmp(got.data, want, got.len) == 0);
}

// What the answer has for this kind of message; fails when it is of another kind.
static inline ExtProc__CommonResponse *envoy_common(const struct envoy *envoy, int case_number) {
    assert_true(envoy->verdict.has_answer);
    assert_false(envoy->verdict.ends_stream);
    assert_int_equal(envoy->answer->response_case, case_number);
    ExtProc__CommonResponse *common = case_number <= 2 ? envoy->answer->request_headers->response
                                                       : envoy->answer->request_body->response;
    assert_non_null(common);
    return common;
}

// The answer is "go on" and nothing else.
static inline void envoy_assert_plain(const struct envoy *envoy, int case_number) {
    const ExtProc__CommonResponse *common = envoy_common(envoy, case_number);
    assert_null(common->header_mutation);
    assert_null(common->body_mutation);
    assert_false(common->clear_route_cache);
    assert_null(envoy->answer->mode_override);
    assert_null(envoy->answer->dynamic_metadata);
}

// A number or text of the metadata as text; "" when it is not there.
static inline const char *envoy_metadata(const struct envoy *envoy, const char *key) {
    static char text[300];
    const ExtProc__Struct *all = envoy->answer->dynamic_metadata;
    text[0] = '\0';
    if (all == NULL) return text;
    assert_int_equal(all->n_fields, 1);
    assert_true(envoy_is(all->fields[0]->key, "io.envoy.ai_gateway"));
    const ExtProc__Struct *fields = all->fields[0]->value->struct_value;
    for (size_t i = 0; i < fields->n_fields; i++) {
        if (!envoy_is(fields->fields[i]->key, key)) continue;
        const ExtProc__Value *value = fields->fields[i]->value;
        bool is_text = value->kind_case == EXT_PROC__VALUE__KIND_STRING_VALUE;
        if (is_text) {
            snprintf(text, sizeof(text), "%.*s", (int)value->string_value.len,
                     (const char *)value->string_value.data);
        } else {
            assert_int_equal(value->kind_case, EXT_PROC__VALUE__KIND_NUMBER_VALUE);
            snprintf(text, sizeof(text), "%.17g", value->number_value);
        }
    }
    return text;
}

static inline void envoy_assert_usage(const struct envoy *envoy, const char *input,
                                      const char *cached, const char *output, const char *total,
                                      const char *model) {
    assert_string_equal(envoy_metadata(envoy, "llm_input_token"), input);
    assert_string_equal(envoy_metadata(envoy, "llm_cached_input_token"), cached);
    assert_string_equal(envoy_metadata(envoy, "llm_output_token"), output);
    assert_string_equal(envoy_metadata(envoy, "llm_total_token"), total);
    assert_string_equal(envoy_metadata(envoy, "response_model"), model);
}
