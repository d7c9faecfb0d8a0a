// SPDX-License-Identifier: Apache-2.0
#include "extproc/admin/admin.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>

enum {
    CONNECTIONS_MOST = 64,
    CONNECTIONS_FROM_ONE_MOST = 16,  // a flood from elsewhere leaves room for the kubelet
    SILENCE_SECONDS = 10,
    CONNECTION_MEMORY_BYTES = 16 << 10,
    STACK_BYTES = 256 << 10,
};

struct admin {
    struct admin_handlers handlers;
    struct listen_socket socket;
    struct MHD_Daemon *daemon;
};

static const char plain[] = "text/plain; charset=utf-8";

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned http_status,
                              const char *type, struct bytes body) {
    struct MHD_Response *response = MHD_create_response_from_buffer_copy(body.len, body.data);
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (http_status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result result = MHD_queue_response(connection, http_status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned http_status,
                                   const char *text) {
    return answer(connection, http_status, plain, bytes_of_text(text));
}

static enum MHD_Result answer_health(struct MHD_Connection *connection,
                                     const struct admin_handlers *handlers) {
    char reason[ADMIN_REASON_BYTES + 1] = "";
    if (handlers->is_healthy(handlers->context, reason)) {
        return answer_text(connection, MHD_HTTP_OK, "OK\n");
    }
    size_t len = strlen(reason);
    reason[len++] = '\n';
    return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, plain, bytes_of(reason, len));
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection,
                                      const struct admin_handlers *handlers) {
    struct buffer text = {0};
    enum MHD_Result result;
    if (handlers->write_metrics(handlers->context, &text) == STATUS_OK) {
        result = answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                        buffer_bytes(&text));
    } else {
        result = answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "No memory.\n");
    }
    buffer_done(&text);
    return result;
}

static const struct {
    const char *path;
    enum MHD_Result (*answer)(struct MHD_Connection *, const struct admin_handlers *);
} pages[] = {
    {"/health", answer_health},
    {"/metrics", answer_metrics},
};

// The library calls it when the headers are there, with each piece of a body, and when that has
// ended; it takes an answer in the first call and in the last. Nobody wants a body.
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **state) {
    (void)version;
    (void)upload;
    const struct admin *admin = context;
    bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (is_get && *state == NULL) {
        *state = context;
        return MHD_YES;
    }
    if (*upload_size != 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        if (strcmp(path, pages[i].path) != 0) continue;
        if (is_get) return pages[i].answer(connection, &admin->handlers);
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "There are /health and /metrics.\n");
}

// Malformed requests are answered; nobody else needs to read about them.
static void drop_log(void *context, const char *format, va_list arguments) {
    (void)context;
    (void)format;
    (void)arguments;
}

static struct MHD_Daemon *start_daemon(struct admin *admin) {
    // The library closes what it gets, but not in every case of failure: it gets a copy.
    int fd = fcntl(admin->socket.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return NULL;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, admin,        //
                            MHD_OPTION_EXTERNAL_LOGGER, drop_log, NULL,     //
                            MHD_OPTION_LISTEN_SOCKET, fd,                   //
                            MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MOST,  //
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_FROM_ONE_MOST,
                            MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_SECONDS,  //
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
                            MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_END);
}

enum status admin_start(const struct listen_socket *socket, const struct admin_handlers *handlers,
                        struct admin **ret_admin) {
    struct listen_socket own = *socket;
    struct admin *admin = calloc(1, sizeof(*admin));
    if (admin == NULL) {
        listen_socket_close(&own);
        return STATUS_NO_MEMORY;
    }
    admin->handlers = *handlers;
    admin->socket = own;
    admin->daemon = start_daemon(admin);
    if (admin->daemon == NULL) {
        admin_free(admin);
        return STATUS_LIBRARY;
    }
    *ret_admin = admin;
    return STATUS_OK;
}

void admin_free(struct admin *admin) {
    if (admin == NULL) return;
    if (admin->daemon != NULL) MHD_stop_daemon(admin->daemon);
    listen_socket_close(&admin->socket);
    free(admin);
}
