// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/server.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "pprof/http/endpoint.h"
#include "pprof/http/form.h"
#include "pprof/http/patience.h"
#include "pprof/http/strict.h"

enum {
    CONNECTIONS_MOST = 64,
    IDLE_SECONDS = 10,
    ARRIVAL_SECONDS = 10,                // from the request line to the end of the body
    STOP_SECONDS = 2,                    // for all to take their last answer
    ANSWER_SECONDS = 300,                // for a client to take what was made for it
    CONNECTION_MEMORY_BYTES = 64 << 10,  // headers over this are refused
    CONNECTION_BYTES = 512 << 10,        // with its thread and its socket's buffers
    THREAD_STACK_BYTES = 192 << 10,
    REQUEST_BODY_BYTES_MOST = 8 << 20,  // go tool pprof posts 20 bytes for each address to name
    SMALL_BODY_BYTES = 2048,            // Go sends a longer one in chunks
    CHUNK_BYTES = 32 << 10,
    STRICT_LEVEL = 1,  // the library's: refuses what may be read in two ways
};

// What is kept from the request line to the end of the answer.
struct call {
    struct buffer target;  // the raw request target
    struct buffer body;
    bool is_begun;     // the headers were seen
    bool is_bad;       // and are not acceptable
    bool is_too_much;  // the body is
};

static struct MHD_Daemon *daemons[PPROF_ADDRESSES_MOST];
static atomic_ullong request_count;
static atomic_uint calls_under_way;
static atomic_uint connection_count;

static struct patience *patience_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int socket_of(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void watch_connection(void *context, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode what) {
    (void)context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        patience_free(*slot);
        if (atomic_fetch_sub(&connection_count, 1) == 1) reserve_refill();
        return;
    }
    // Its thread starts after this. Without room it may come about all the same.
    atomic_fetch_add(&connection_count, 1);
    reserve_make_room(CONNECTION_BYTES);
    *slot = patience_new(socket_of(connection));
    patience_set(*slot, ARRIVAL_SECONDS);
}

// The library decodes the query before a handler sees it; the symbol endpoint needs it raw.
static void *begin_call(void *context, const char *target, struct MHD_Connection *connection) {
    (void)context;
    atomic_fetch_add(&calls_under_way, 1);
    patience_set(patience_of(connection), ARRIVAL_SECONDS);
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) return NULL;
    call->body.limit = REQUEST_BODY_BYTES_MOST;
    if (buffer_append_text(&call->target, target) != STATUS_OK) call->is_bad = true;
    return call;
}

static void end_call(void *context, struct MHD_Connection *connection, void **slot,
                     enum MHD_RequestTerminationCode why) {
    (void)context;
    (void)why;
    atomic_fetch_sub(&calls_under_way, 1);
    // The next request of a kept connection: silence is the library's to end.
    patience_set(patience_of(connection), IDLE_SECONDS + ARRIVAL_SECONDS);
    struct call *call = *slot;
    if (call == NULL) return;
    buffer_done(&call->target);
    buffer_done(&call->body);
    free(call);
    *slot = NULL;
}

static ssize_t read_body(void *context, uint64_t position, char *room, size_t size) {
    const struct buffer *body = context;
    size_t left = body->len - (size_t)position;
    if (left == 0) return MHD_CONTENT_READER_END_OF_STREAM;
    size_t piece = left < size ? left : size;
    memcpy(room, body->data + position, piece);
    return (ssize_t)piece;
}

static void free_body(void *context) {
    struct buffer *body = context;
    buffer_done(body);
    free(body);
}

static struct MHD_Response *make_response(struct answer *answer, bool is_head, bool is_http_1_0) {
    bool is_small = answer->body.len <= SMALL_BODY_BYTES;
    // Go tells the length of a small body only, and of a redirect's never. In HTTP/1.0 the library
    // would say that this one's is 0.
    if (is_head && !is_http_1_0 && (!is_small || answer->location.len != 0)) {
        return MHD_create_response_empty(MHD_RF_HEAD_ONLY_RESPONSE);
    }
    struct buffer *body = calloc(1, sizeof *body);
    if (body == NULL) return NULL;
    *body = answer->body;
    answer->body = (struct buffer){0};
    struct MHD_Response *response = is_small
                                        ? MHD_create_response_from_buffer_with_free_callback_cls(
                                              body->len, body->data, free_body, body)
                                        : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
                                                                            CHUNK_BYTES, read_body,
                                                                            body, free_body);
    if (response == NULL) free_body(body);
    return response;
}

// Nothing but our own files, nothing inline, in nobody's frame.
static void add_page_headers(struct MHD_Response *response, const struct answer *answer) {
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; script-src 'self'; style-src 'self'; "
                            "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
                            "form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    if (answer->etag == NULL) return;
    // no-cache: keep it, and ask each time whether it is still the same.
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
    if (answer->status == 304) return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
}

static void add_headers(struct MHD_Response *response, const struct answer *answer) {
    if (answer->content_type != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    }
    if (!answer->is_plain) {
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    }
    if (answer->is_page) add_page_headers(response, answer);
    if (answer->is_pprof_error) MHD_add_response_header(response, "X-Go-Pprof", "1");
    if (answer->closes) MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (answer->file_name[0] != '\0') {
        char value[128];
        snprintf(value, sizeof value, "attachment; filename=\"%s\"", answer->file_name);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, value);
    }
    if (answer->location.len != 0) {
        const char *location = (const char *)answer->location.data;
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, location);
    }
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, const char *method,
                                   const char *version, struct answer *answer) {
    if (answer->location.len != 0 && buffer_append_byte(&answer->location, '\0') != STATUS_OK) {
        answer_failure(answer, STATUS_NO_MEMORY);
    }
    bool is_http_1_0 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    struct MHD_Response *response = make_response(answer, strcmp(method, "HEAD") == 0, is_http_1_0);
    if (response == NULL) return MHD_NO;  // closes the connection: no memory even for an answer
    add_headers(response, answer);
    if (is_http_1_0) {
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_SERVER, MHD_RO_END);
    }
    patience_set(patience_of(connection), ANSWER_SECONDS);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    atomic_fetch_add_explicit(&request_count, 1, memory_order_relaxed);
    return result;
}

static bool is_form(struct MHD_Connection *connection, const char *method) {
    static const char form[] = "application/x-www-form-urlencoded";
    // Go reads the body of these three only.
    if (strcmp(method, "POST") != 0 && strcmp(method, "PUT") != 0 && strcmp(method, "PATCH") != 0) {
        return false;
    }
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_TYPE);
    if (type == NULL) return false;
    struct bytes name = bytes_of(type, strcspn(type, "; \t"));
    return bytes_equal_ignoring_case(name, bytes_of_text(form));
}

static void answer_call(struct MHD_Connection *connection, const struct call *call,
                        const char *method, struct answer *answer) {
    if (call->is_bad) {
        answer_bad_request(answer);
        return;
    }
    if (call->is_too_much) {
        answer_error(answer, 413, "the request's body is over the limit of 8 MiB");
        return;
    }
    struct request request = {
        .method = method,
        .body = buffer_bytes(&call->body),
        .is_form = is_form(connection, method),
        .if_none_match = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_IF_NONE_MATCH),
        .client_socket = socket_of(connection),
    };
    form_split_target(buffer_bytes(&call->target), &request.path, &request.query);
    endpoint_route(&request, answer);
}

static enum MHD_Result check_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    size_t name_len, const char *value, size_t value_len) {
    (void)kind;
    strict_add_header(context, bytes_of(name, name_len), bytes_of(value, value_len));
    return MHD_YES;
}

static bool is_acceptable(struct MHD_Connection *connection, const char *method) {
    struct strict_headers headers = {0};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, check_header, &headers);
    return !headers.is_bad && strict_is_token(bytes_of_text(method));
}

// Called once for the headers, then for each piece of the body, then with none left.
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **slot) {
    (void)context;
    (void)url;
    struct call *call = *slot;
    if (call == NULL) return MHD_NO;
    if (!call->is_begun) {
        call->is_begun = true;
        call->is_bad |= !is_acceptable(connection, method);
        // A refusal does not wait for a body whose length may be a lie.
        if (!call->is_bad) return MHD_YES;
    } else if (*upload_size != 0) {
        struct bytes piece = bytes_of(upload, *upload_size);
        if (buffer_append(&call->body, piece) != STATUS_OK) call->is_too_much = true;
        *upload_size = 0;
        return MHD_YES;
    }
    patience_set(patience_of(connection), 0);  // from here on it is we who take time
    struct answer answer = {0};
    answer_call(connection, call, method, &answer);
    enum MHD_Result result = send_answer(connection, method, version, &answer);
    answer_done(&answer);
    return result;
}

// Peers' mistakes are told to them; a line a scan would drown the log.
static void ignore_log(void *context, const char *format, va_list arguments) {
    (void)context;
    (void)format;
    (void)arguments;
}

static struct MHD_Daemon *start_daemon(int socket) {
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle, NULL,
        // first, so that nothing is printed before it holds
        MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL, MHD_OPTION_LISTEN_SOCKET, socket,
        MHD_OPTION_URI_LOG_CALLBACK, begin_call, NULL, MHD_OPTION_NOTIFY_COMPLETED, end_call, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, watch_connection, NULL, MHD_OPTION_CLIENT_DISCIPLINE_LVL,
        (int)STRICT_LEVEL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MOST,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
        MHD_OPTION_END);
}

// A daemon that does not start closes its socket too; those behind it are ours to close.
static enum status start_daemons(const struct listeners *listeners) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < listeners->count; i++) {
        if (status != STATUS_OK) {
            close(listeners->sockets[i]);
            continue;
        }
        daemons[i] = start_daemon(listeners->sockets[i]);
        if (daemons[i] == NULL) status = STATUS_LIBRARY;
    }
    return status;
}

enum status server_start(struct listeners *listeners) {
    enum status status = request_sleep_again();
    if (status == STATUS_OK) status = patience_start();
    if (status != STATUS_OK) {
        listeners_close(listeners);
        return status;
    }
    status = start_daemons(listeners);
    if (status != STATUS_OK) server_stop();
    return status;
}

// The library cuts off who is still being answered.
static void wait_for_last_answers(void) {
    const struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
    int64_t deadline_ns = clock_monotonic_ns() + STOP_SECONDS * NS_PER_SECOND;
    while (atomic_load(&calls_under_way) != 0 && clock_monotonic_ns() < deadline_ns) {
        nanosleep(&pause, NULL);
    }
}

void server_stop(void) {
    request_wake_all();
    wait_for_last_answers();
    for (size_t i = 0; i < PPROF_ADDRESSES_MOST; i++) {
        if (daemons[i] != NULL) MHD_stop_daemon(daemons[i]);
        daemons[i] = NULL;
    }
    patience_stop();
}

uint64_t server_request_count(void) {
    return atomic_load_explicit(&request_count, memory_order_relaxed);
}
