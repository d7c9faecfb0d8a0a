// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "extproc/grpc/envelope.h"

struct call {
    struct http2_stream *stream;
    const struct grpc_server *server;
    const struct grpc_method *method;
    void *state;  // the method's
    struct envelope_reader reader;
    bool has_responded;  // the response's headers are on their way
    bool is_over;        // the status is on its way: nothing more is read
    char status_text[12];
    struct http2_field trailers[2];
};

static const struct http2_field content_type = {BYTES_LITERAL("content-type"),
                                                BYTES_LITERAL("application/grpc")};

static void end_call(struct call *call, enum grpc_status status, const char *text) {
    call->is_over = true;
    envelope_done(&call->reader);
    snprintf(call->status_text, sizeof(call->status_text), "%d", (int)status);
    call->trailers[0] = (struct http2_field){BYTES_LITERAL("grpc-status"),
                                             bytes_of_text(call->status_text)};
    call->trailers[1] = (struct http2_field){BYTES_LITERAL("grpc-message"), bytes_of_text(text)};
    size_t count = text[0] != '\0' ? 2 : 1;
    if (call->has_responded) {
        http2_stream_finish(call->stream, call->trailers, count);
        return;
    }
    // "Trailers-Only": one header section that also ends the stream.
    const struct http2_field fields[] = {content_type, call->trailers[0], call->trailers[1]};
    http2_stream_respond(call->stream, "200", fields, 1 + count, true);
}

static void refuse_call(struct call *call, enum metric reason, enum grpc_status status,
                        const char *text) {
    metrics_add(call->server->metrics, reason, 1);
    end_call(call, status, text);
}

// "If Content-Type does not begin with "application/grpc", gRPC servers SHOULD respond with HTTP
// status of 415 (Unsupported Media Type)." Of the suffixes only protobuf's is ours.
static bool is_grpc(struct bytes type) {
    const struct bytes prefix = BYTES_LITERAL("application/grpc");
    if (!bytes_start_with(type, prefix)) return false;
    struct bytes rest = bytes_of(type.data + prefix.len, type.len - prefix.len);
    const struct bytes suffix = BYTES_LITERAL("+proto");
    if (bytes_start_with(rest, suffix)) {
        rest = bytes_of(rest.data + suffix.len, rest.len - suffix.len);
    }
    return rest.len == 0 || rest.data[0] == ';' || rest.data[0] == ' ';
}

static void begin_call(struct call *call, const struct http2_request *request) {
    bool is_post = bytes_equal(request->method, BYTES_LITERAL("POST"));
    if (!is_post || !is_grpc(request->content_type)) {
        metrics_add(call->server->metrics, METRIC_REFUSED_CONTENT_TYPE, 1);
        call->is_over = true;
        http2_stream_respond(call->stream, is_post ? "415" : "405", NULL, 0, true);
        return;
    }
    call->method = grpc_method_find(request->path);
    if (call->method == NULL) {
        refuse_call(call, METRIC_REFUSED_METHOD, GRPC_UNIMPLEMENTED, "unknown method");
        return;
    }
    call->reader.message_most_bytes = call->method->message_most_bytes(call->server);
    call->state = call->method->open(call->server);
    if (call->state == NULL) {
        refuse_call(call, METRIC_REFUSED_MEMORY, GRPC_RESOURCE_EXHAUSTED, "no memory");
    }
}

static void *open_call(void *context, struct http2_stream *stream,
                       const struct http2_request *request) {
    const struct grpc_server *server = context;
    struct call *call = calloc(1, sizeof(*call));
    if (call == NULL) return NULL;
    call->stream = stream;
    call->server = server;
    call->reader.budget = server->budget;
    metrics_add(server->metrics, METRIC_STREAMS, 1);
    metrics_add(server->metrics, METRIC_STREAMS_OPENED, 1);
    begin_call(call, request);
    return call;
}

// One message or one refusal: the answer goes into the stream's output behind a prefix.
static void handle(struct call *call, const struct bytes *message) {
    struct buffer *output = http2_stream_output(call->stream);
    size_t start = output->len;
    const uint8_t no_prefix[ENVELOPE_PREFIX_BYTES] = {0};
    if (buffer_append(output, bytes_of(no_prefix, sizeof(no_prefix))) != STATUS_OK) {
        refuse_call(call, METRIC_REFUSED_MEMORY, GRPC_RESOURCE_EXHAUSTED, "no memory");
        return;
    }
    struct grpc_verdict verdict = message != NULL
                                      ? call->method->receive(call->state, *message, output)
                                      : call->method->refuse(call->state, output);
    if (verdict.has_answer) {
        size_t len = output->len - start - ENVELOPE_PREFIX_BYTES;
        envelope_write_prefix(output->data + start, (uint32_t)len);
        if (!call->has_responded) {
            call->has_responded = true;
            http2_stream_respond(call->stream, "200", &content_type, 1, false);
        }
        http2_stream_flush(call->stream);
    } else {
        output->len = start;
    }
    if (!verdict.ends_call) return;
    if (message != NULL && verdict.status != GRPC_OK) {
        metrics_add(call->server->metrics, METRIC_REFUSED_MESSAGE, 1);
    }
    end_call(call, verdict.status, verdict.text);
}

static void refuse_input(struct call *call, enum status status) {
    if (status == STATUS_TOO_LARGE) {
        metrics_add(call->server->metrics, METRIC_REFUSED_TOO_LARGE, 1);
        handle(call, NULL);
        if (!call->is_over) {
            end_call(call, GRPC_RESOURCE_EXHAUSTED, "the message is too large");
        }
        return;
    }
    if (status == STATUS_UNSUPPORTED) {
        refuse_call(call, METRIC_REFUSED_COMPRESSED, GRPC_UNIMPLEMENTED,
                    "compressed messages are not supported");
        return;
    }
    if (status == STATUS_NO_MEMORY) {
        refuse_call(call, METRIC_REFUSED_MEMORY, GRPC_RESOURCE_EXHAUSTED,
                    "too many messages are under way");
        return;
    }
    refuse_call(call, METRIC_REFUSED_MESSAGE, GRPC_INTERNAL, "a message has unknown flags");
}

static void take_data(void *state, struct bytes piece) {
    struct call *call = state;
    while (!call->is_over) {
        struct bytes message;
        enum status status = envelope_read(&call->reader, &piece, &message);
        if (status == STATUS_TRUNCATED) return;
        if (status != STATUS_OK) {
            refuse_input(call, status);
            return;
        }
        handle(call, &message);
    }
}

static void end_input(void *state) {
    struct call *call = state;
    if (call->is_over) return;
    if (!envelope_is_between(&call->reader)) {
        refuse_call(call, METRIC_REFUSED_MESSAGE, GRPC_INTERNAL, "the last message is cut");
        return;
    }
    if (call->method->is_unary) {
        refuse_call(call, METRIC_REFUSED_MESSAGE, GRPC_INVALID_ARGUMENT, "there is no message");
        return;
    }
    end_call(call, GRPC_OK, "");
}

static void close_call(void *state) {
    struct call *call = state;
    if (call->state != NULL) call->method->close(call->state);
    envelope_done(&call->reader);
    metrics_subtract(call->server->metrics, METRIC_STREAMS, 1);
    free(call);
}

const struct http2_handler grpc_call_handler = {
    .open = open_call,
    .data = take_data,
    .end = end_input,
    .close = close_call,
};
