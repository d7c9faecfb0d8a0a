// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/method.h"

#include "extproc/message/health.h"

#define PROCESS_SERVICE "envoy.service.ext_proc.v3.ExternalProcessor"

static size_t process_message_most(const struct grpc_server *server) {
    return process_message_limit_bytes(server->process);
}

// A stream, and what others may see of it.
struct process_call {
    struct stream_entry entry;
    struct stream_list *list;  // NULL: it is in none
    struct process_stream *stream;
    const struct grpc_server *server;
};

static enum status process_open(const struct grpc_server *server, struct arena *arena,
                                void **ret_state) {
    if (!budget_take(server->streams_budget, 1)) return STATUS_BUSY;
    struct process_call *call = arena_alloc(arena, sizeof(*call));
    struct process_stream *stream = process_stream_new(server->process, server->metrics, arena);
    if (call == NULL || stream == NULL) {
        process_stream_free(stream);
        budget_give(server->streams_budget, 1);
        return STATUS_NO_MEMORY;
    }
    *call = (struct process_call){
        .stream = stream,
        .server = server,
        .list = server->streams,
    };
    if (call->list != NULL)
        stream_list_join(call->list, &call->entry, process_stream_state(stream), server->now_ns);
    *ret_state = call;
    return STATUS_OK;
}

static void show(struct process_call *call) {
    uint32_t label = process_stream_label(call->stream);
    const char *state = process_stream_state(call->stream);
    atomic_store_explicit(&call->entry.label, label, memory_order_relaxed);
    atomic_store_explicit(&call->entry.state, state, memory_order_relaxed);
}

static struct grpc_verdict verdict_of(struct process_verdict verdict) {
    return (struct grpc_verdict){.has_answer = verdict.has_answer,
                                 .has_more = verdict.has_more,
                                 .owes_all = verdict.owes_all,
                                 .ends_call = verdict.ends_stream,
                                 .status = (enum grpc_status)verdict.grpc_status,
                                 .text = verdict.grpc_message};
}

static struct grpc_verdict process_receive(void *state, struct bytes message,
                                           struct buffer *answer) {
    struct process_call *call = state;
    struct process_verdict verdict = process_stream_receive(call->stream, message,
                                                            call->server->now_ns, answer);
    show(call);
    return verdict_of(verdict);
}

static struct grpc_verdict process_more(void *state, struct buffer *answer) {
    struct process_call *call = state;
    return verdict_of(process_stream_more(call->stream, answer));
}

static struct grpc_verdict process_refuse(void *state, enum grpc_refusal why,
                                          struct buffer *answer) {
    struct process_call *call = state;
    enum process_refusal reason = why == GRPC_REFUSAL_OVERLOADED ? PROCESS_OVERLOADED
                                                                 : PROCESS_TOO_LARGE;
    return verdict_of(process_stream_refuse(call->stream, reason, call->server->now_ns, answer));
}

static struct grpc_verdict process_turn_caller_away(const struct grpc_server *server,
                                                    struct buffer *answer) {
    return verdict_of(process_turn_away(server->process, server->metrics, answer));
}

static void process_close(void *state) {
    struct process_call *call = state;
    if (call->list != NULL) stream_list_leave(call->list, &call->entry);
    process_stream_close(call->stream, call->server->now_ns);
    process_stream_free(call->stream);
    budget_give(call->server->streams_budget, 1);
}

static struct grpc_verdict end_with(enum grpc_status status, const char *text) {
    return (struct grpc_verdict){.ends_call = true, .status = status, .text = text};
}

static size_t health_message_most(const struct grpc_server *server) {
    (void)server;
    return 4096;
}

// A call of Check needs no state of its own.
static enum status check_open(const struct grpc_server *server, struct arena *arena,
                              void **ret_state) {
    (void)arena;
    *ret_state = (void *)server;
    return STATUS_OK;
}

// The empty name asks about the server as a whole; a name that is not known is answered NOT_FOUND.
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
static bool is_known_service(struct bytes name) {
    return name.len == 0 || bytes_equal(name, BYTES_LITERAL(PROCESS_SERVICE));
}

static enum grpc_phase phase_of(const struct grpc_server *server) {
    // pairs with the stores in service.c; a moment late is harmless
    return (enum grpc_phase)atomic_load_explicit(server->phase, memory_order_relaxed);
}

static enum health_status health_of(const struct grpc_server *server) {
    return phase_of(server) == GRPC_SERVING ? HEALTH_SERVING : HEALTH_NOT_SERVING;
}

// False, with the verdict: it is no HealthCheckRequest.
static bool read_service(struct bytes message, enum health_status known,
                         enum health_status *ret_health, struct grpc_verdict *ret_verdict) {
    uint8_t service[HEALTH_SERVICE_BYTES];
    size_t service_len = 0;
    if (health_decode_request(message, service, &service_len) != STATUS_OK) {
        *ret_verdict = end_with(GRPC_INVALID_ARGUMENT, "not a HealthCheckRequest");
        return false;
    }
    bool is_known = is_known_service(bytes_of(service, service_len));
    *ret_health = is_known ? known : HEALTH_SERVICE_UNKNOWN;
    return true;
}

static struct grpc_verdict say(enum health_status health, struct buffer *answer) {
    if (health_encode_response(health, answer) != STATUS_OK) {
        return end_with(GRPC_RESOURCE_EXHAUSTED, "no memory");
    }
    return (struct grpc_verdict){.has_answer = true, .text = ""};
}

static struct grpc_verdict check_receive(void *state, struct bytes message, struct buffer *answer) {
    enum health_status health;
    struct grpc_verdict verdict;
    if (!read_service(message, health_of(state), &health, &verdict)) return verdict;
    if (health == HEALTH_SERVICE_UNKNOWN) return end_with(GRPC_NOT_FOUND, "unknown service");
    verdict = say(health, answer);
    verdict.ends_call = true;
    return verdict;
}

static struct grpc_verdict health_refuse(void *state, enum grpc_refusal why,
                                         struct buffer *answer) {
    (void)state;
    (void)answer;
    return end_with(GRPC_RESOURCE_EXHAUSTED, why == GRPC_REFUSAL_TOO_LARGE
                                                 ? "the message is too large"
                                                 : "too many messages are under way");
}

static void health_close(void *state) {
    (void)state;
}

// A call of Watch: "The server will immediately send back a message indicating the current serving
// status. It will then subsequently send a new message whenever the service's serving status
// changes." A service that is not known is no error, it may come to be.
struct health_watch {
    const struct grpc_server *server;
    enum health_status said;  // 0: nothing yet
};

static enum status watch_open(const struct grpc_server *server, struct arena *arena,
                              void **ret_state) {
    struct health_watch *watch = arena_alloc(arena, sizeof(*watch));
    if (watch == NULL) return STATUS_NO_MEMORY;
    *watch = (struct health_watch){.server = server};
    *ret_state = watch;
    return STATUS_OK;
}

// It would never end by itself, and hold up those who wait for the last stream.
static struct grpc_verdict end_watch(void) {
    return end_with(GRPC_UNAVAILABLE, "the server is about to end");
}

static struct grpc_verdict watch_receive(void *state, struct bytes message, struct buffer *answer) {
    struct health_watch *watch = state;
    struct grpc_verdict verdict;
    if (watch->said != 0) return end_with(GRPC_INVALID_ARGUMENT, "a second message");
    // It has come since the others were woken for that.
    if (phase_of(watch->server) == GRPC_CLOSING) return end_watch();
    if (!read_service(message, health_of(watch->server), &watch->said, &verdict)) return verdict;
    return say(watch->said, answer);
}

static struct grpc_verdict watch_wake(void *state, struct buffer *answer) {
    struct health_watch *watch = state;
    enum health_status health = health_of(watch->server);
    if (phase_of(watch->server) == GRPC_CLOSING) return end_watch();
    bool is_news = watch->said == HEALTH_SERVING && health != watch->said;
    if (!is_news) return (struct grpc_verdict){.text = ""};
    watch->said = health;
    return say(health, answer);
}

static const struct grpc_method methods[] = {
    {
        .path = "/" PROCESS_SERVICE "/Process",
        .message_most_bytes = process_message_most,
        .open = process_open,
        .turn_away = process_turn_caller_away,
        .receive = process_receive,
        .more = process_more,
        .refuse = process_refuse,
        .close = process_close,
    },
    {
        .path = "/grpc.health.v1.Health/Check",
        .takes_one = true,
        .message_most_bytes = health_message_most,
        .open = check_open,
        .receive = check_receive,
        .refuse = health_refuse,
        .close = health_close,
    },
    {
        .path = "/grpc.health.v1.Health/Watch",
        .takes_one = true,
        .message_most_bytes = health_message_most,
        .open = watch_open,
        .receive = watch_receive,
        .refuse = health_refuse,
        .wake = watch_wake,
        .close = health_close,
    },
};

const struct grpc_method *grpc_method_find(struct bytes path) {
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        if (bytes_equal(path, bytes_of_text(methods[i].path))) return &methods[i];
    }
    return NULL;
}
