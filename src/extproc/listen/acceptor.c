// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { ACCEPTS_MOST = 64 };  // at once, before the loop's timers have their turn

#define LOG_NS (10 * NS_PER_SECOND)

struct listener {
    struct acceptor *acceptor;
    struct listen_socket socket;
    uv_poll_t poll;
};

static void poll_listeners(struct acceptor *acceptor, bool is_on);

static void on_pause_over(uv_timer_t *timer) {
    poll_listeners(timer->data, true);
}

static void pause_accepting(struct listener *listener, int error) {
    struct acceptor *acceptor = listener->acceptor;
    metrics_add(acceptor->metrics, METRIC_ACCEPT_ERRORS, 1);
    int64_t now_ns = clock_monotonic_ns();
    if (acceptor->logged_ns == 0 || now_ns - acceptor->logged_ns > LOG_NS) {
        acceptor->logged_ns = now_ns;
        log_error("cannot accept connections", log_text("address", listener->socket.name),
                  log_text("reason", uv_strerror(-error)));
    }
    poll_listeners(acceptor, false);
    uv_timer_start(&acceptor->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

static void accept_connections(struct listener *listener, size_t most) {
    struct acceptor *acceptor = listener->acceptor;
    for (size_t i = 0; i < most && listener->socket.fd >= 0; i++) {
        int fd = accept4(listener->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            acceptor->take(acceptor->context, fd, listener->socket.is_tcp);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) pause_accepting(listener, errno);
        return;
    }
}

static void on_listener(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    accept_connections(poll->data, ACCEPTS_MOST);
}

static void poll_listeners(struct acceptor *acceptor, bool is_on) {
    for (size_t i = 0; i < acceptor->count; i++) {
        struct listener *listener = &acceptor->listeners[i];
        if (listener->socket.fd < 0) continue;
        if (is_on) {
            uv_poll_start(&listener->poll, UV_READABLE, on_listener);
        } else {
            uv_poll_stop(&listener->poll);
        }
    }
}

enum status acceptor_init(struct acceptor *acceptor, const struct listen_socket *sockets,
                          size_t count) {
    acceptor->listeners = calloc(count, sizeof(struct listener));
    if (acceptor->listeners == NULL) {
        listen_sockets_close(sockets, count);
        return STATUS_NO_MEMORY;
    }
    acceptor->count = count;
    for (size_t i = 0; i < count; i++) {
        acceptor->listeners[i].acceptor = acceptor;
        acceptor->listeners[i].socket = sockets[i];
    }
    return STATUS_OK;
}

enum status acceptor_start(struct acceptor *acceptor, uv_loop_t *loop) {
    uv_timer_init(loop, &acceptor->pause);
    acceptor->pause.data = acceptor;
    acceptor->has_pause = true;
    for (size_t i = 0; i < acceptor->count; i++) {
        struct listener *listener = &acceptor->listeners[i];
        if (uv_poll_init(loop, &listener->poll, listener->socket.fd) != 0) return STATUS_SYSTEM;
        listener->poll.data = listener;
    }
    poll_listeners(acceptor, true);
    return STATUS_OK;
}

void acceptor_take_waiting(struct acceptor *acceptor, size_t most) {
    for (size_t i = 0; i < acceptor->count; i++) {
        accept_connections(&acceptor->listeners[i], most);
    }
}

void acceptor_close(struct acceptor *acceptor) {
    for (size_t i = 0; i < acceptor->count; i++) {
        struct listener *listener = &acceptor->listeners[i];
        if (listener->socket.fd < 0) continue;
        if (listener->poll.data != NULL) uv_close((uv_handle_t *)&listener->poll, NULL);
        listen_socket_close(&listener->socket);
    }
}

void acceptor_stop(struct acceptor *acceptor) {
    acceptor_close(acceptor);
    if (acceptor->has_pause) uv_close((uv_handle_t *)&acceptor->pause, NULL);
    acceptor->has_pause = false;
}

void acceptor_free(struct acceptor *acceptor) {
    free(acceptor->listeners);
    acceptor->listeners = NULL;
    acceptor->count = 0;
}
