// SPDX-License-Identifier: Apache-2.0
// The stream state machine: one handler a kind of message, found in a table. A handler starts from
// the answer "go on" and adds what it wants of Envoy. What a message needs lives in an arena on the
// stack and is gone when the answer is written.
#include "extproc/process/process.h"

#include <assert.h>

#include "extproc/observer.h"
#include "extproc/process/turn.h"

enum {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_RESOURCE_EXHAUSTED = 8,

    // Most messages fit; a larger one costs a malloc or two.
    MESSAGE_ROOM_BYTES = 8 * 1024,
};

struct process_stream *process_stream_new(const struct process_options *options,
                                          struct metrics *metrics, struct arena *arena) {
    struct process_stream *stream = arena_alloc(arena, sizeof(*stream));
    if (stream == NULL) return NULL;
    // Not the whole: the request and the reply see to themselves.
    memset(stream, 0, offsetof(struct process_stream, reply));
    stream->arena = arena;
    stream->options = options;
    stream->metrics = metrics;
    stream->latest_request_kind = stream->latest_response_kind = -1;
    // Old versions of Envoy do not say.
    stream->modes.request_body = stream->modes.response_body = MESSAGE_BODY_BUFFERED;
    stream->may_override_modes = stream->response_is_whole = true;
    request_init(&stream->request);
    reply_init(&stream->reply, options, metrics);
    return stream;
}

void process_stream_close(struct process_stream *stream, int64_t now_ns) {
    bool has_failed = stream->is_over && stream->end.grpc_status != GRPC_OK;
    bool is_cut = !stream->is_answered || stream->reply.kind != REPLY_UNREAD;
    stream_record(stream, now_ns, has_failed ? "failed" : is_cut ? "cut" : NULL);
}

void process_stream_free(struct process_stream *stream) {
    if (stream == NULL) return;
    passing_drop_held(stream);
    buffer_done(&stream->own_names);
    reply_done(&stream->reply);
}

void turn_add_label(struct turn *turn, const char *key, struct bytes value, bool is_known) {
    struct process_stream *stream = turn->stream;
    const struct observer *observer = stream->options->observer;
    if (observer == NULL || value.len == 0) return;
    stream->label = observer->label(stream->label, key, value, is_known);
    observer->enter(stream->label);  // process_stream_receive leaves it
}

void turn_override_modes(struct turn *turn, enum message_body_mode request,
                         enum message_body_mode response) {
    struct process_stream *stream = turn->stream;
    if (!stream->may_override_modes) return;
    turn->answer.overrides_mode = true;
    turn->answer.request_body_mode = request;
    turn->answer.response_body_mode = response;
    stream->modes.response_body = response;
    stream->response_is_whole = false;
}

bool turn_find_length(const struct turn *turn, size_t *ret_length) {
    struct bytes text = message_find_header(&turn->message, BYTES_LITERAL("content-length"));
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        bool is_huge = length > (SIZE_MAX - 9) / 10;
        length = is_huge ? SIZE_MAX : length * 10 + (size_t)(text.data[i] - '0');
    }
    *ret_length = length;
    return text.len != 0;
}

void turn_refuse_too_large(struct turn *turn) {
    refusal_set(&turn->refusal, REFUSAL_BODY_TOO_LARGE,
                "The request body is larger than %zu bytes, the limit of this gateway.",
                turn->stream->options->body_limit_bytes);
}

void turn_refuse_overloaded(struct turn *turn) {
    refusal_set(&turn->refusal, REFUSAL_OVERLOADED,
                "The gateway has too many requests under way; try again in a moment.");
}

/* handlers */

static enum status on_request_headers(struct turn *turn) {
    return turn->message.is_from_upstream_filter ? upstream_on_headers(turn)
                                                 : router_on_headers(turn);
}

// Where there is none, the answer is "go on".
static enum status (*const handlers[MESSAGE_KIND_COUNT])(struct turn *) = {
    [MESSAGE_REQUEST_HEADERS] = on_request_headers,
    [MESSAGE_REQUEST_BODY] = router_on_body,
    [MESSAGE_REQUEST_TRAILERS] = router_on_trailers,
    [MESSAGE_RESPONSE_HEADERS] = response_on_headers,
    [MESSAGE_RESPONSE_BODY] = response_on_body,
    [MESSAGE_RESPONSE_TRAILERS] = response_on_trailers,
};

/* verdicts */

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

static struct process_verdict end_with_answer(struct process_stream *stream) {
    struct process_verdict verdict = end_stream(stream, GRPC_OK, "");
    verdict.has_answer = true;
    return verdict;
}

static struct process_verdict end_without_memory(struct process_stream *stream) {
    metrics_add(stream->metrics, METRIC_REQUESTS_FAILED, 1);
    return end_stream(stream, GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static struct process_verdict refuse(struct turn *turn, struct buffer *answer) {
    struct process_stream *stream = turn->stream;
    const struct refusal_row *row = refusal_row(turn->refusal.kind);
    stream_record(stream, turn->now_ns, row->code);
    metrics_add(stream->metrics, row->metric, 1);
    passing_drop_held(stream);
    // A reply that is under way cannot be replaced any more, only cut.
    if (stream->latest_response_kind >= MESSAGE_RESPONSE_HEADERS) {
        return end_stream(stream, GRPC_INVALID_ARGUMENT, "the request is refused");
    }
    struct message_immediate immediate = {
        .http_status = row->http_status,
        .content_type = "application/json",
        .details = row->details,
    };
    const struct message_answer message = {.immediate = &immediate};
    // Nothing in it is needed any more, and it may be full: that can be why we refuse.
    arena_reset(turn->arena);
    if (refusal_encode(&turn->refusal, turn->arena, &immediate.body) != STATUS_OK ||
        message_encode(&message, turn->arena, answer) != STATUS_OK) {
        return end_without_memory(stream);
    }
    return end_with_answer(stream);
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

// Envoy ignores an override where the bodies may be ahead of it. Who only watches is told nothing
// of modes, and gets bodies in pieces.
static void note_modes(struct process_stream *stream, const struct message *message) {
    if (stream->is_observed) stream->response_is_whole = stream->may_override_modes = false;
    if (stream->is_observed || !message->has_modes) return;
    const struct message_modes *modes = &message->modes;
    stream->modes = *modes;
    stream->response_is_whole = modes->response_body == MESSAGE_BODY_BUFFERED;
    stream->may_override_modes = !modes->sends_body_early &&
                                 modes->request_body != MESSAGE_BODY_FULL_DUPLEX &&
                                 modes->response_body != MESSAGE_BODY_FULL_DUPLEX;
}

// With FULL_DUPLEX_STREAMED nothing passes but what we send back. A request that is read can still
// be refused as a whole.
static bool owes_all(const struct process_stream *stream) {
    const struct message_modes *modes = &stream->modes;
    if (stream->reads_request || stream->is_observed) return false;
    return (modes->request_body == MESSAGE_BODY_FULL_DUPLEX && !stream->request_is_over) ||
           modes->response_body == MESSAGE_BODY_FULL_DUPLEX;
}

static void note_end(struct process_stream *stream, const struct message *message) {
    stream->request_is_over |= message->kind == MESSAGE_REQUEST_TRAILERS ||
                               (message->kind < MESSAGE_REQUEST_TRAILERS && message->end_of_stream);
}

static struct process_verdict send_answer(struct turn *turn, struct buffer *answer) {
    enum status status = message_encode(&turn->answer, turn->arena, answer);
    if (turn->stream->held_passed != 0) passing_forget_passed(turn->stream);
    if (status != STATUS_OK) return end_without_memory(turn->stream);
    if (turn->answer.immediate != NULL) return end_with_answer(turn->stream);
    return (struct process_verdict){
        .has_answer = true,
        .has_more = turn->has_more,
        .owes_all = owes_all(turn->stream),
        .grpc_message = "",
    };
}

static struct process_verdict take_turn(struct turn *turn, struct buffer *answer) {
    struct process_stream *stream = turn->stream;
    enum status status = STATUS_OK;
    bool is_first = stream->latest_request_kind < 0 && stream->latest_response_kind < 0;
    if (is_first) stream->is_observed = turn->message.is_observed;
    note_modes(stream, &turn->message);
    note_end(stream, &turn->message);
    turn_add_label(turn, "route", turn->message.route, true);
    turn->answer.kind = turn->message.kind;
    if (!is_in_order(stream, turn->message.kind)) {
        metrics_add(stream->metrics, METRIC_MESSAGES_OUT_OF_ORDER, 1);
    } else if (handlers[turn->message.kind] != NULL) {
        status = handlers[turn->message.kind](turn);
    }
    if (status != STATUS_OK) return end_without_memory(stream);
    if (stream->is_observed) return (struct process_verdict){.grpc_message = ""};
    if (turn->refusal.kind != REFUSAL_NONE) {
        return refuse(turn, answer);
    }
    if (turn->is_withheld) return (struct process_verdict){.grpc_message = ""};
    return send_answer(turn, answer);
}

// What one message may take: headers are copied, and tables made of them.
static size_t memory_limit_bytes(const struct process_options *options) {
    return 4 * process_message_limit_bytes(options);
}

// Most messages have no metadata and no refusal: what those would fill is not cleared.
static void begin_turn(struct turn *turn, struct process_stream *stream, struct arena *arena,
                       int64_t now_ns) {
    memset(turn, 0, offsetof(struct turn, answer.metadata));
    turn->stream = stream;
    turn->arena = arena;
    turn->now_ns = now_ns;
    turn->refusal.kind = REFUSAL_NONE;
}

static struct process_verdict receive(struct process_stream *stream, struct bytes message,
                                      int64_t now_ns, struct buffer *answer) {
    uint8_t room[MESSAGE_ROOM_BYTES] UNINITIALIZED;
    struct arena arena;
    arena_init(&arena, room, sizeof(room), memory_limit_bytes(stream->options));
    struct turn turn UNINITIALIZED;
    begin_turn(&turn, stream, &arena, now_ns);
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
                                              int64_t now_ns, struct buffer *answer) {
    if (stream->is_over) return stream->end;
    const struct observer *observer = stream->options->observer;
    if (observer == NULL) return receive(stream, message, now_ns, answer);
    uint32_t before = observer->enter(stream->label);
    struct process_verdict verdict = receive(stream, message, now_ns, answer);
    observer->leave(before);
    return verdict;
}

struct process_verdict process_stream_more(struct process_stream *stream, struct buffer *answer) {
    struct arena arena;
    arena_init(&arena, NULL, 0, 0);
    struct turn turn UNINITIALIZED;
    begin_turn(&turn, stream, &arena, 0);
    passing_send_held(&turn);
    return send_answer(&turn, answer);
}

const char *process_stream_state(const struct process_stream *stream) {
    if (stream->is_over) return "ended";
    if (stream->latest_request_kind < 0) return "awaiting request headers";
    if (stream->reads_request) return "awaiting request body";
    if (stream->latest_response_kind < 0) return "awaiting response headers";
    return "awaiting response body";
}

uint32_t process_stream_label(const struct process_stream *stream) {
    return stream->label;
}

static struct process_verdict refuse_at_once(struct process_stream *stream,
                                             enum process_refusal why, int64_t now_ns,
                                             struct buffer *answer) {
    uint8_t room[MESSAGE_ROOM_BYTES] UNINITIALIZED;
    struct arena arena;
    arena_init(&arena, room, sizeof(room), memory_limit_bytes(stream->options));
    struct turn turn UNINITIALIZED;
    begin_turn(&turn, stream, &arena, now_ns);
    if (why == PROCESS_OVERLOADED) {
        turn_refuse_overloaded(&turn);
    } else {
        turn_refuse_too_large(&turn);
    }
    struct process_verdict verdict = refuse(&turn, answer);
    arena_reset(&arena);
    return verdict;
}

struct process_verdict process_stream_refuse(struct process_stream *stream,
                                             enum process_refusal why, int64_t now_ns,
                                             struct buffer *answer) {
    if (stream->is_over) return stream->end;
    if (stream->latest_request_kind < 0 && why == PROCESS_TOO_LARGE) {
        return end_stream(stream, GRPC_RESOURCE_EXHAUSTED, "the headers are over the limit");
    }
    bool is_request = stream->latest_request_kind < 0 || stream->reads_request;
    if (is_request) return refuse_at_once(stream, why, now_ns, answer);
    reply_give_up(&stream->reply);
    if (owes_all(stream)) {
        return end_stream(stream, GRPC_RESOURCE_EXHAUSTED, "no memory for a piece of a body");
    }
    return end_stream(stream, GRPC_OK, "");
}

struct process_verdict process_turn_away(const struct process_options *options,
                                         struct metrics *metrics, struct buffer *answer) {
    struct process_stream stream = {.options = options, .metrics = metrics};
    return refuse_at_once(&stream, PROCESS_OVERLOADED, 0, answer);
}
