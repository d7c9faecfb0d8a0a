// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/call.h"

#include <assert.h>
#include <stdio.h>

#include "extproc/grpc/envelope.h"

struct call {
    struct http2_stream *stream;
    struct grpc_server *server;
    const struct grpc_method *method;
    void *state;  // the method's
    struct envelope_reader reader;
    struct call *next, **previous_next;  // in server->watching, if the method has `wake`
    bool has_message;                    // one was received
    bool has_responded;                  // the response's headers are on their way
    bool is_over;                        // the status is on its way: nothing more is read
    const char *plain_status;            // of HTTP: it is no call at all
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

// What there is to say to a method.
struct event {
    enum { OPENED_IN_VAIN, MESSAGE, MORE, REFUSAL, WAKE } kind;
    struct bytes message;
    enum grpc_refusal why;
};

static struct grpc_verdict ask(struct call *call, const struct event *event,
                               struct buffer *answer) {
    switch (event->kind) {
    case OPENED_IN_VAIN: return call->method->turn_away(call->server, answer);
    case MESSAGE: return call->method->receive(call->state, event->message, answer);
    case MORE: return call->method->more(call->state, answer);
    case REFUSAL: return call->method->refuse(call->state, event->why, answer);
    case WAKE: break;
    }
    return call->method->wake(call->state, answer);
}

// The method's answer goes into the stream's output behind a prefix. False: there is no memory.
static bool add_answer(struct call *call, const struct event *event,
                       struct grpc_verdict *ret_verdict) {
    struct buffer *output = http2_stream_output(call->stream);
    size_t start = output->len;
    const uint8_t no_prefix[ENVELOPE_PREFIX_BYTES] = {0};
    if (buffer_append(output, bytes_of(no_prefix, sizeof(no_prefix))) != STATUS_OK) return false;
    *ret_verdict = ask(call, event, output);
    if (!ret_verdict->has_answer) {
        output->len = start;
        return true;
    }
    size_t len = output->len - start - ENVELOPE_PREFIX_BYTES;
    envelope_write_prefix(output->data + start, (uint32_t)len);
    return true;
}

static void handle(struct call *call, const struct event *event) {
    struct grpc_verdict verdict = {.has_more = true};
    bool has_answer = false;
    const struct event more = {.kind = MORE};
    for (const struct event *next = event; verdict.has_more; next = &more) {
        if (!add_answer(call, next, &verdict)) {
            refuse_call(call, METRIC_REFUSED_MEMORY, GRPC_RESOURCE_EXHAUSTED, "no memory");
            return;
        }
        has_answer |= verdict.has_answer;
        call->reader.is_owed = verdict.owes_all;
    }
    if (has_answer && !call->has_responded) {
        call->has_responded = true;
        http2_stream_respond(call->stream, "200", &content_type, 1, false);
    }
    if (has_answer) http2_stream_flush(call->stream);
    if (!verdict.ends_call) return;
    if (event->kind == MESSAGE && verdict.status != GRPC_OK) {
        metrics_add(call->server->metrics, METRIC_REFUSED_MESSAGE, 1);
    }
    end_call(call, verdict.status, verdict.text);
}

static void watch(struct call *call) {
    call->next = call->server->watching;
    call->previous_next = &call->server->watching;
    if (call->next != NULL) call->next->previous_next = &call->next;
    call->server->watching = call;
}

static void unwatch(struct call *call) {
    if (call->previous_next == NULL) return;
    *call->previous_next = call->next;
    if (call->next != NULL) call->next->previous_next = call->previous_next;
}

void grpc_calls_wake(struct grpc_server *server) {
    // Whatever handle does, it unlinks none: that comes with the stream's close.
    for (struct call *call = server->watching; call != NULL; call = call->next) {
        if (!call->is_over) handle(call, &(const struct event){.kind = WAKE});
    }
}

// Whoever came with a browser or curl is told where he is.
static void answer_plainly(struct call *call) {
    static const struct http2_field plain = {BYTES_LITERAL("content-type"),
                                             BYTES_LITERAL("text/plain; charset=utf-8")};
    struct buffer *output = http2_stream_output(call->stream);
    bool has_text = buffer_append_text(output, "This port speaks gRPC.\n") == STATUS_OK;
    http2_stream_respond(call->stream, call->plain_status, &plain, 1, !has_text);
    if (has_text) http2_stream_finish(call->stream, NULL, 0);
}

static void begin_call(struct call *call, const struct http2_request *request) {
    bool is_post = bytes_equal(request->method, BYTES_LITERAL("POST"));
    if (!is_post || !is_grpc(request->content_type)) {
        metrics_add(call->server->metrics, METRIC_REFUSED_CONTENT_TYPE, 1);
        call->plain_status = is_post ? "415" : "405";
        call->is_over = true;
        return;
    }
    call->method = grpc_method_find(request->path);
    if (call->method == NULL) {
        refuse_call(call, METRIC_REFUSED_METHOD, GRPC_UNIMPLEMENTED, "unknown method");
        return;
    }
    call->reader.message_most_bytes = call->method->message_most_bytes(call->server);
    enum status status = call->method->open(call->server, http2_stream_arena(call->stream),
                                            &call->state);
    if (status == STATUS_BUSY) {
        metrics_add(call->server->metrics, METRIC_REFUSED_STREAMS, 1);
        handle(call, &(const struct event){.kind = OPENED_IN_VAIN});
    } else if (status != STATUS_OK) {
        refuse_call(call, METRIC_REFUSED_MEMORY, GRPC_RESOURCE_EXHAUSTED, "no memory");
    } else if (call->method->wake != NULL) {
        watch(call);
    }
}

static void *open_call(void *context, struct http2_stream *stream,
                       const struct http2_request *request) {
    struct grpc_server *server = context;
    struct call *call = arena_alloc(http2_stream_arena(stream), sizeof(*call));
    if (call == NULL) return NULL;
    *call = (struct call){
        .stream = stream,
        .server = server,
        .reader.budget = server->budget,
    };
    metrics_add(server->metrics, METRIC_STREAMS, 1);
    metrics_add(server->metrics, METRIC_STREAMS_OPENED, 1);
    begin_call(call, request);
    return call;
}

static void refuse_message(struct call *call, enum metric metric, enum grpc_refusal why) {
    metrics_add(call->server->metrics, metric, 1);
    handle(call, &(const struct event){.kind = REFUSAL, .why = why});
    assert(call->is_over);
}

static void refuse_input(struct call *call, enum status status) {
    switch (status) {
    case STATUS_TOO_LARGE:
        refuse_message(call, METRIC_REFUSED_TOO_LARGE, GRPC_REFUSAL_TOO_LARGE);
        return;
    case STATUS_NO_MEMORY:
        refuse_message(call, METRIC_REFUSED_MEMORY, GRPC_REFUSAL_OVERLOADED);
        return;
    case STATUS_UNSUPPORTED:
        refuse_call(call, METRIC_REFUSED_COMPRESSED, GRPC_UNIMPLEMENTED,
                    "compressed messages are not supported");
        return;
    default:
        refuse_call(call, METRIC_REFUSED_MESSAGE, GRPC_INTERNAL, "a message has unknown flags");
    }
}

static void take_data(void *state, struct bytes piece) {
    struct call *call = state;
    while (piece.len != 0 && !call->is_over) {
        struct bytes message;
        enum status status = envelope_read(&call->reader, &piece, &message);
        if (status == STATUS_TRUNCATED) return;
        if (status != STATUS_OK) {
            refuse_input(call, status);
            return;
        }
        call->has_message = true;
        metrics_add(call->server->metrics, METRIC_MESSAGES, 1);
        handle(call, &(const struct event){.kind = MESSAGE, .message = message});
    }
    envelope_release(&call->reader);
}

static void end_input(void *state) {
    struct call *call = state;
    // Not before: what breaks HTTP/2 in the rest of the request is still found.
    if (call->plain_status != NULL) answer_plainly(call);
    if (call->is_over) return;
    if (!envelope_is_between(&call->reader)) {
        refuse_call(call, METRIC_REFUSED_MESSAGE, GRPC_INTERNAL, "the last message is cut");
        return;
    }
    if (call->method->takes_one && !call->has_message) {
        refuse_call(call, METRIC_REFUSED_MESSAGE, GRPC_INVALID_ARGUMENT, "there is no message");
        return;
    }
    if (call->method->wake == NULL) end_call(call, GRPC_OK, "");
}

static void close_call(void *state) {
    struct call *call = state;
    unwatch(call);
    if (call->state != NULL) call->method->close(call->state);
    envelope_done(&call->reader);
    metrics_subtract(call->server->metrics, METRIC_STREAMS, 1);
}

const struct http2_handler grpc_call_handler = {
    .open = open_call,
    .data = take_data,
    .end = end_input,
    .close = close_call,
};
