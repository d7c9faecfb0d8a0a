// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/method.h"

#include <stdlib.h>

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
};

static void *process_open(const struct grpc_server *server) {
    struct process_call *call = calloc(1, sizeof(*call));
    if (call == NULL) return NULL;
    call->stream = process_stream_new(server->process, server->metrics);
    if (call->stream == NULL) {
        free(call);
        return NULL;
    }
    call->list = server->streams;
    if (call->list != NULL) {
        stream_list_join(call->list, &call->entry, process_stream_state(call->stream));
    }
    return call;
}

static void show(struct process_call *call) {
    uint32_t label = process_stream_label(call->stream);
    const char *state = process_stream_state(call->stream);
    atomic_store_explicit(&call->entry.label, label, memory_order_relaxed);
    atomic_store_explicit(&call->entry.state, state, memory_order_relaxed);
}

static struct grpc_verdict verdict_of(struct process_verdict verdict) {
    return (struct grpc_verdict){.has_answer = verdict.has_answer,
                                 .ends_call = verdict.ends_stream,
                                 .status = (enum grpc_status)verdict.grpc_status,
                                 .text = verdict.grpc_message};
}

static struct grpc_verdict process_receive(void *state, struct bytes message,
                                           struct buffer *answer) {
    struct process_call *call = state;
    struct process_verdict verdict = process_stream_receive(call->stream, message, answer);
    show(call);
    return verdict_of(verdict);
}

static struct grpc_verdict process_refuse(void *state, struct buffer *answer) {
    struct process_call *call = state;
    return verdict_of(process_stream_refuse(call->stream, answer));
}

static void process_close(void *state) {
    struct process_call *call = state;
    if (call->list != NULL) stream_list_leave(call->list, &call->entry);
    process_stream_free(call->stream);
    free(call);
}

static struct grpc_verdict end_with(enum grpc_status status, const char *text) {
    return (struct grpc_verdict){.ends_call = true, .status = status, .text = text};
}

static size_t health_message_most(const struct grpc_server *server) {
    (void)server;
    return 4096;
}

// A call needs no state of its own.
static void *health_open(const struct grpc_server *server) {
    return (void *)server;
}

// The empty name asks about the server as a whole; a name that is not known is answered NOT_FOUND.
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
static bool is_known_service(struct bytes name) {
    return name.len == 0 || bytes_equal(name, BYTES_LITERAL(PROCESS_SERVICE));
}

static struct grpc_verdict health_receive(void *state, struct bytes message,
                                          struct buffer *answer) {
    const struct grpc_server *server = state;
    uint8_t service[HEALTH_SERVICE_BYTES];
    size_t service_len = 0;
    if (health_decode_request(message, service, &service_len) != STATUS_OK) {
        return end_with(GRPC_INVALID_ARGUMENT, "not a HealthCheckRequest");
    }
    if (!is_known_service(bytes_of(service, service_len))) {
        return end_with(GRPC_NOT_FOUND, "unknown service");
    }
    // pairs with the store in service_drain; a moment late is harmless
    bool is_draining = atomic_load_explicit(server->is_draining, memory_order_relaxed);
    enum health_status health = is_draining ? HEALTH_NOT_SERVING : HEALTH_SERVING;
    if (health_encode_response(health, answer) != STATUS_OK) {
        return end_with(GRPC_RESOURCE_EXHAUSTED, "no memory");
    }
    return (struct grpc_verdict){.has_answer = true, .ends_call = true, .text = ""};
}

static struct grpc_verdict health_refuse(void *state, struct buffer *answer) {
    (void)state;
    (void)answer;
    return end_with(GRPC_RESOURCE_EXHAUSTED, "the message is too large");
}

static void health_close(void *state) {
    (void)state;
}

static const struct grpc_method methods[] = {
    {
        .path = "/" PROCESS_SERVICE "/Process",
        .message_most_bytes = process_message_most,
        .open = process_open,
        .receive = process_receive,
        .refuse = process_refuse,
        .close = process_close,
    },
    {
        .path = "/grpc.health.v1.Health/Check",
        .is_unary = true,
        .message_most_bytes = health_message_most,
        .open = health_open,
        .receive = health_receive,
        .refuse = health_refuse,
        .close = health_close,
    },
};

const struct grpc_method *grpc_method_find(struct bytes path) {
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        if (bytes_equal(path, bytes_of_text(methods[i].path))) return &methods[i];
    }
    return NULL;
}
