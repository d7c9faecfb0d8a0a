// SPDX-License-Identifier: Apache-2.0
// The stream state machine: one handler a kind of message, found in a table. A handler starts from
// the answer "go on" and adds what it wants of Envoy. What a message needs lives in an arena on the
// stack and is gone when the answer is written.
#include "extproc/process/process.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "extproc/message/message.h"
#include "extproc/metrics.h"
#include "extproc/observer.h"
#include "extproc/process/refusal.h"
#include "extproc/process/reply.h"
#include "extproc/process/request.h"

enum {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_RESOURCE_EXHAUSTED = 8,

    // Most messages fit; a larger one costs a malloc or two.
    MESSAGE_ROOM_BYTES = 8 * 1024,
};

struct process_stream {
    /* immutable */
    const struct process_options *options;
    struct metrics *metrics;

    /* loop thread only */
    bool is_over;  // the verdict `end` was given
    struct process_verdict end;
    int latest_request_kind;  // enum message_kind, -1 before the first
    int latest_response_kind;
    bool request_is_whole;  // a body message is the whole body, even without end_of_stream
    bool response_is_whole;

    const char *operation;  // of a request of ours, whose body names a model; NULL: another's
    uint32_t label;         // the observer's, of what is known so far
    bool awaits_body;       // and that is still to come
    struct buffer path;     // as the client sent it
    struct reply reply;
};

// One message and what is decided on it.
struct turn {
    struct process_stream *stream;
    struct arena *arena;
    struct message message;
    struct message_answer answer;
    struct refusal refusal;
};

struct process_stream *process_stream_new(const struct process_options *options,
                                          struct metrics *metrics) {
    struct process_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) return NULL;
    stream->options = options;
    stream->metrics = metrics;
    stream->latest_request_kind = stream->latest_response_kind = -1;
    stream->request_is_whole = stream->response_is_whole = true;
    reply_init(&stream->reply, options, metrics);
    return stream;
}

void process_stream_free(struct process_stream *stream) {
    if (stream == NULL) return;
    buffer_done(&stream->path);
    reply_done(&stream->reply);
    free(stream);
}

/* request */

// The x-ai-eg- headers are how we tell Envoy's router and later filters what we found; a client
// that sends one itself would choose its own route, and may have done so already.
static enum status remove_own_headers(struct turn *turn) {
    const struct message *message = &turn->message;
    struct bytes *names = arena_alloc(turn->arena, message->header_count * sizeof(*names));
    if (names == NULL) return STATUS_NO_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < message->header_count; i++) {
        struct bytes name = message->headers[i].name;
        if (bytes_start_with(name, BYTES_LITERAL("x-ai-eg-"))) names[count++] = name;
    }
    turn->answer.remove_headers = names;
    turn->answer.remove_header_count = count;
    turn->answer.clears_route_cache = count != 0;
    return STATUS_OK;
}

// From here on, the rest of this turn included, work is known to be for this.
static void add_label(struct process_stream *stream, const char *key, struct bytes value) {
    const struct observer *observer = stream->options->observer;
    if (observer == NULL || value.len == 0) return;
    stream->label = observer->label(stream->label, key, value);
    observer->enter(stream->label);  // process_stream_receive leaves it
}

// Behind the router the headers that the filter in front of it has set say what the body did there.
static void label_routed(struct process_stream *stream, const struct message *message) {
    struct bytes path = message_find_header(message, BYTES_LITERAL("x-ai-eg-original-path"));
    struct bytes method = message_find_header(message, BYTES_LITERAL(":method"));
    const char *operation = request_operation(method, path);
    if (operation == NULL) return;
    add_label(stream, "operation", bytes_of_text(operation));
    add_label(stream, "model", message_find_header(message, BYTES_LITERAL("x-ai-eg-model")));
}

// Whether the text is a number over the limit. Text that is no number is Envoy's business.
static bool is_over_limit(struct bytes text, size_t limit) {
    size_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        if (value > (SIZE_MAX - 9) / 10) return true;
        value = value * 10 + (size_t)(text.data[i] - '0');
    }
    return value > limit;
}

static void refuse_too_large(struct process_stream *stream, struct refusal *refusal) {
    refusal_set(refusal, REFUSAL_BODY_TOO_LARGE,
                "The request body is larger than %zu bytes, the limit of this gateway.",
                stream->options->body_limit_bytes);
}

static void refuse_missing_body(struct refusal *refusal) {
    refusal_set(refusal, REFUSAL_BODY_MISSING,
                "The request has no body; a JSON object with the field 'model' is needed.");
}

static enum status on_request_headers(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    const struct message *message = &turn->message;
    if (message->is_from_upstream_filter) {
        label_routed(stream, message);
        return STATUS_OK;
    }

    struct bytes path = message_find_header(message, BYTES_LITERAL(":path"));
    struct bytes method = message_find_header(message, BYTES_LITERAL(":method"));
    const char *operation = request_operation(method, path);
    if (operation == NULL) {
        metrics_add(stream->metrics, METRIC_REQUESTS_PASSED, 1);
        // Without this Envoy would collect both bodies for us, for nothing. The reply's headers
        // stay asked for: when Envoy sends them while this answer is on its way (its own 413, say),
        // it would take this one for the last and wait for the other until the message timeout.
        turn->answer.overrides_mode = true;
        turn->answer.response_body_mode = MESSAGE_BODY_NONE;
        return remove_own_headers(turn);
    }
    if (message->end_of_stream) {
        refuse_missing_body(&turn->refusal);
        return STATUS_OK;
    }
    if (is_over_limit(message_find_header(message, BYTES_LITERAL("content-length")),
                      stream->options->body_limit_bytes)) {
        refuse_too_large(stream, &turn->refusal);
        return STATUS_OK;
    }
    stream->operation = operation;
    stream->awaits_body = true;
    add_label(stream, "operation", bytes_of_text(operation));
    enum status status = buffer_append(&stream->path, path);
    return status != STATUS_OK ? status : remove_own_headers(turn);
}

static enum status on_request_body(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    struct message *message = &turn->message;
    if (!stream->awaits_body) return STATUS_OK;
    stream->awaits_body = false;

    if (!message->end_of_stream && !stream->request_is_whole) {
        refusal_set(&turn->refusal, REFUSAL_BODY_NOT_BUFFERED,
                    "The gateway hands over request bodies in pieces: its request_body_mode must "
                    "be BUFFERED.");
        return STATUS_OK;
    }
    if (message->body_bytes > stream->options->body_limit_bytes) {
        refuse_too_large(stream, &turn->refusal);
        return STATUS_OK;
    }
    if (message->body_bytes == 0) {
        refuse_missing_body(&turn->refusal);
        return STATUS_OK;
    }
    struct bytes model;
    bool is_read = request_read_model(message->body, message->body_bytes, turn->arena, &model,
                                      &turn->refusal);
    if (!is_read) return STATUS_OK;
    metrics_add(stream->metrics, METRIC_REQUESTS_ROUTED, 1);
    add_label(stream, "model", model);
    turn->answer.set_header_count = 2;
    turn->answer.set_headers[0] = (struct message_header){
        .name = BYTES_LITERAL("x-ai-eg-model"),
        .value = model,
    };
    turn->answer.set_headers[1] = (struct message_header){
        .name = BYTES_LITERAL("x-ai-eg-original-path"),
        .value = buffer_bytes(&stream->path),
    };
    // The route was chosen by headers that did not have the model yet.
    turn->answer.clears_route_cache = true;
    return STATUS_OK;
}

/* reply */

static enum status on_response_headers(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    if (stream->operation == NULL) return STATUS_OK;
    reply_start(&stream->reply, &turn->message);
    if (stream->reply.kind == REPLY_JSON || turn->message.end_of_stream) return STATUS_OK;
    // Envoy would hold an event stream back to collect it, and collect in vain what is not read.
    bool is_streamed = stream->reply.kind == REPLY_EVENTS;
    turn->answer.overrides_mode = true;
    turn->answer.response_body_mode = is_streamed ? MESSAGE_BODY_STREAMED : MESSAGE_BODY_NONE;
    stream->response_is_whole = false;
    return STATUS_OK;
}

static enum status on_response_body(struct turn *turn) {
    const struct message *message = &turn->message;
    bool is_last = message->end_of_stream || turn->stream->response_is_whole;
    reply_add(&turn->stream->reply, message->body, message->body_bytes, is_last, turn->arena,
              &turn->answer);
    return STATUS_OK;
}

// Trailers end a body whose last piece did not say so.
static enum status on_response_trailers(struct turn *turn) {
    reply_add(&turn->stream->reply, NULL, 0, true, turn->arena, &turn->answer);
    return STATUS_OK;
}

/* the stream */

// A handler changes turn->answer and turn->refusal; STATUS_NO_MEMORY ends the stream. Where there
// is none, the answer is "go on".
static enum status (*const handlers[MESSAGE_KIND_COUNT])(struct turn *) = {
    [MESSAGE_REQUEST_HEADERS] = on_request_headers,     [MESSAGE_REQUEST_BODY] = on_request_body,
    [MESSAGE_RESPONSE_HEADERS] = on_response_headers,   [MESSAGE_RESPONSE_BODY] = on_response_body,
    [MESSAGE_RESPONSE_TRAILERS] = on_response_trailers,
};

static struct process_verdict end_stream(struct process_stream *stream, int grpc_status,
                                         const char *grpc_message) {
    stream->is_over = true;
    stream->end = (struct process_verdict){
        .ends_stream = true,
        .grpc_status = grpc_status,
        .grpc_message = grpc_message,
    };
    return stream->end;
}

static struct process_verdict end_without_memory(struct process_stream *stream) {
    metrics_add(stream->metrics, METRIC_REQUESTS_FAILED, 1);
    return end_stream(stream, GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static struct process_verdict refuse(struct process_stream *stream, const struct refusal *refusal,
                                     struct arena *arena, struct buffer *answer) {
    const struct refusal_row *row = refusal_row(refusal->kind);
    struct message_immediate immediate = {
        .http_status = row->http_status,
        .content_type = "application/json",
        .details = row->details,
    };
    const struct message_answer message = {.immediate = &immediate};
    // Nothing in it is needed any more, and it may be full: that can be why we refuse.
    arena_reset(arena);
    if (refusal_encode(refusal, arena, &immediate.body) != STATUS_OK ||
        message_encode(&message, arena, answer) != STATUS_OK) {
        return end_without_memory(stream);
    }
    metrics_add(stream->metrics, row->metric, 1);
    struct process_verdict verdict = end_stream(stream, GRPC_OK, "");
    verdict.has_answer = true;
    return verdict;
}

// Request and reply each come in order, bodies as often as they like.
static bool is_in_order(struct process_stream *stream, enum message_kind kind) {
    bool is_request = kind <= MESSAGE_REQUEST_TRAILERS;
    int *latest = is_request ? &stream->latest_request_kind : &stream->latest_response_kind;
    bool may_repeat = kind == MESSAGE_REQUEST_BODY || kind == MESSAGE_RESPONSE_BODY;
    bool is_good = (int)kind > *latest || ((int)kind == *latest && may_repeat);
    if (is_good) *latest = (int)kind;
    return is_good;
}

static void note_body_modes(struct process_stream *stream, const struct message *message) {
    if (!message->has_body_modes) return;
    stream->request_is_whole = message->request_body_mode == MESSAGE_BODY_BUFFERED;
    stream->response_is_whole = message->response_body_mode == MESSAGE_BODY_BUFFERED;
}

static struct process_verdict take_turn(struct turn *turn, struct buffer *answer) {
    struct process_stream *stream = turn->stream;
    enum status status = STATUS_OK;
    note_body_modes(stream, &turn->message);
    add_label(stream, "route", turn->message.route);
    turn->answer.kind = turn->message.kind;
    if (!is_in_order(stream, turn->message.kind)) {
        metrics_add(stream->metrics, METRIC_MESSAGES_OUT_OF_ORDER, 1);
    } else if (handlers[turn->message.kind] != NULL) {
        status = handlers[turn->message.kind](turn);
    }
    if (status != STATUS_OK) return end_without_memory(stream);
    if (turn->message.is_observed) return (struct process_verdict){.grpc_message = ""};
    if (turn->refusal.kind != REFUSAL_NONE) {
        return refuse(stream, &turn->refusal, turn->arena, answer);
    }
    status = message_encode(&turn->answer, turn->arena, answer);
    if (status != STATUS_OK) return end_without_memory(stream);
    return (struct process_verdict){.has_answer = true, .grpc_message = ""};
}

// What one message may take: a copy of it and the tree of its JSON, which for a body of small
// numbers is some six times as large. Bodies near the limit are refused earlier if they are such.
static size_t memory_limit_bytes(const struct process_options *options) {
    return 4 * process_message_limit_bytes(options);
}

static struct process_verdict receive(struct process_stream *stream, struct bytes message,
                                      struct buffer *answer) {
    uint8_t room[MESSAGE_ROOM_BYTES] UNINITIALIZED;
    struct arena arena;
    arena_init(&arena, room, sizeof(room), memory_limit_bytes(stream->options));
    struct turn turn = {.stream = stream, .arena = &arena};
    struct process_verdict verdict;
    enum status status = message_decode(message, &arena, &turn.message);
    if (status == STATUS_OK) {
        verdict = take_turn(&turn, answer);
    } else if (status == STATUS_NO_MEMORY) {
        verdict = end_without_memory(stream);
    } else {
        metrics_add(stream->metrics, METRIC_MESSAGES_UNDECODABLE, 1);
        verdict = end_stream(stream, GRPC_INVALID_ARGUMENT, "not a ProcessingRequest");
    }
    arena_reset(&arena);
    return verdict;
}

struct process_verdict process_stream_receive(struct process_stream *stream, struct bytes message,
                                              struct buffer *answer) {
    if (stream->is_over) return stream->end;
    const struct observer *observer = stream->options->observer;
    if (observer == NULL) return receive(stream, message, answer);
    uint32_t before = observer->enter(stream->label);
    struct process_verdict verdict = receive(stream, message, answer);
    observer->leave(before);
    return verdict;
}

const char *process_stream_state(const struct process_stream *stream) {
    if (stream->is_over) return "ended";
    if (stream->latest_request_kind < 0) return "awaiting request headers";
    if (stream->awaits_body) return "awaiting request body";
    if (stream->latest_response_kind < 0) return "awaiting response headers";
    return "awaiting response body";
}

uint32_t process_stream_label(const struct process_stream *stream) {
    return stream->label;
}

static void refuse_overloaded(struct refusal *refusal) {
    refusal_set(refusal, REFUSAL_OVERLOADED,
                "The gateway has too many requests under way; try again in a moment.");
}

static struct process_verdict refuse_at_once(struct process_stream *stream,
                                             const struct refusal *refusal, struct buffer *answer) {
    uint8_t room[MESSAGE_ROOM_BYTES] UNINITIALIZED;
    struct arena arena;
    arena_init(&arena, room, sizeof(room), memory_limit_bytes(stream->options));
    struct process_verdict verdict = refuse(stream, refusal, &arena, answer);
    arena_reset(&arena);
    return verdict;
}

struct process_verdict process_stream_refuse(struct process_stream *stream,
                                             enum process_refusal why, struct buffer *answer) {
    if (stream->is_over) return stream->end;
    struct refusal refusal;
    if (why == PROCESS_OVERLOADED) {
        refuse_overloaded(&refusal);
    } else {
        refuse_too_large(stream, &refusal);
    }
    if (stream->latest_request_kind < 0 && why == PROCESS_TOO_LARGE) {
        return end_stream(stream, GRPC_RESOURCE_EXHAUSTED, "the headers are over the limit");
    }
    bool is_request = stream->latest_request_kind < 0 || stream->awaits_body;
    if (is_request) return refuse_at_once(stream, &refusal, answer);
    reply_give_up(&stream->reply);
    return end_stream(stream, GRPC_OK, "");
}

struct process_verdict process_turn_away(const struct process_options *options,
                                         struct metrics *metrics, struct buffer *answer) {
    struct process_stream stream = {.options = options, .metrics = metrics};
    struct refusal refusal;
    refuse_overloaded(&refusal);
    return refuse_at_once(&stream, &refusal, answer);
}
