// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "extproc/grpc/call.h"

enum {
    OUTPUT_BYTES = 64 << 10,  // asked of the session at once
    ROUNDS_MOST = 16,         // of reads or writes, before other connections have their turn
    LINGER_BYTES = 1 << 20,   // how much is dropped of a peer that goes on after the end
};

#define BLOCKED_NS (60 * NS_PER_SECOND)  // how long a peer may take nothing of what waits for it
#define LINGER_NS (2 * NS_PER_SECOND)    // how long a peer may take to close after us

struct connection {
    uv_poll_t poll;
    struct worker *worker;
    struct connection *next, **previous_next;
    int fd;
    bool is_closed;
    int events;  // that are polled
    struct http2_session *session;
    struct buffer unsent;  // what the socket did not take
    int64_t progress_ns;   // when it last took something of it
    // When the session ended; 0: not yet. Then the rest is sent, our side is shut, and what still
    // comes is dropped until the peer closes too. To close at once would make the kernel answer
    // late input with a reset, which can destroy what the peer has not read yet.
    int64_t ended_ns;
    size_t dropped_bytes;
    bool is_shut;
};

// Once for all that comes of one event: a call of the clock for each message would be felt.
static int64_t read_clock(struct worker *worker) {
    worker->grpc.now_ns = clock_monotonic_ns();
    return worker->grpc.now_ns;
}

static void free_connection(uv_handle_t *handle) {
    struct connection *connection = handle->data;
    free(connection);
}

void connection_close(struct connection *connection) {
    if (connection->is_closed) return;
    connection->is_closed = true;
    struct worker *worker = connection->worker;
    *connection->previous_next = connection->next;
    if (connection->next != NULL) connection->next->previous_next = connection->previous_next;

    http2_session_free(connection->session);
    buffer_done(&connection->unsent);
    // In this order: once the descriptor is closed, another thread may have its number.
    uv_close((uv_handle_t *)&connection->poll, free_connection);
    close(connection->fd);
    metrics_subtract(&worker->metrics, METRIC_CONNECTIONS, 1);
    worker_forget(worker);
}

// How many bytes the socket took; -1: it is broken.
static ssize_t send_some(struct connection *connection, struct bytes bytes) {
    ssize_t sent;
    do {
        sent = send(connection->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) return errno == EAGAIN ? 0 : -1;
    metrics_add(&connection->worker->metrics, METRIC_SENT_BYTES, (size_t)sent);
    return sent;
}

enum progress { ALL_SENT, MORE_TO_SEND, BROKEN };

static enum progress send_output(struct connection *connection) {
    struct buffer *output = &connection->worker->output;
    struct buffer *unsent = &connection->unsent;
    for (int round = 0; round < ROUNDS_MOST; round++) {
        bool is_fresh = unsent->len == 0;
        if (is_fresh) {
            output->len = 0;
            enum status status = http2_session_send(connection->session, output, OUTPUT_BYTES);
            if (status != STATUS_OK) return BROKEN;
            if (output->len == 0) return ALL_SENT;
        }
        struct bytes bytes = buffer_bytes(is_fresh ? output : unsent);
        ssize_t sent = send_some(connection, bytes);
        if (sent < 0) return BROKEN;
        if (sent > 0 || is_fresh) connection->progress_ns = connection->worker->grpc.now_ns;

        struct bytes rest = bytes_of(bytes.data + sent, bytes.len - (size_t)sent);
        if (!is_fresh) buffer_remove_front(unsent, (size_t)sent);
        if (is_fresh && rest.len != 0 && buffer_append(unsent, rest) != STATUS_OK) return BROKEN;
        if (rest.len != 0) return MORE_TO_SEND;
        buffer_done(unsent);
    }
    return MORE_TO_SEND;
}

static void end_session(struct connection *connection) {
    if (connection->ended_ns == 0) connection->ended_ns = connection->worker->grpc.now_ns;
}

static void shut(struct connection *connection) {
    if (connection->is_shut) return;
    connection->is_shut = true;
    if (http2_session_is_broken(connection->session)) {
        metrics_add(&connection->worker->metrics, METRIC_CONNECTIONS_BROKEN, 1);
    }
    shutdown(connection->fd, SHUT_WR);
}

static void on_poll(uv_poll_t *poll, int status, int events);

// Sends what can be sent and polls for what is awaited.
static void go_on(struct connection *connection) {
    enum progress progress = send_output(connection);
    if (progress == BROKEN) {
        connection_close(connection);
        return;
    }
    if (http2_session_is_done(connection->session)) end_session(connection);
    if (connection->ended_ns != 0 && progress == ALL_SENT) shut(connection);
    int events = progress == MORE_TO_SEND ? UV_WRITABLE : 0;
    if (!http2_session_is_clogged(connection->session)) events |= UV_READABLE;
    if (events == connection->events) return;
    connection->events = events;
    uv_poll_start(&connection->poll, events, on_poll);
}

// False: the peer had its chance.
static bool take_input(struct connection *connection, struct bytes bytes) {
    metrics_add(&connection->worker->metrics, METRIC_RECEIVED_BYTES, bytes.len);
    if (connection->ended_ns != 0) {
        connection->dropped_bytes += bytes.len;
        return connection->dropped_bytes <= LINGER_BYTES;
    }
    int64_t now_ns = connection->worker->grpc.now_ns;
    if (http2_session_receive(connection->session, bytes, now_ns) != STATUS_OK) {
        end_session(connection);
    }
    return true;
}

// False: the connection is over.
static bool receive_input(struct connection *connection) {
    uint8_t *input = connection->worker->input;
    for (int round = 0; round < ROUNDS_MOST; round++) {
        ssize_t received = recv(connection->fd, input, WORKER_INPUT_BYTES, 0);
        if (received < 0 && errno == EINTR) continue;
        if (received < 0) return errno == EAGAIN;
        if (received == 0) return false;
        if (round != 0) read_clock(connection->worker);
        if (!take_input(connection, bytes_of(input, (size_t)received))) return false;
        // A short read has emptied the socket: no need to ask again.
        if (received < WORKER_INPUT_BYTES) return true;
    }
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct connection *connection = poll->data;
    struct metrics *metrics = &connection->worker->metrics;
    uint64_t messages_before = metrics_read(metrics, METRIC_MESSAGES);
    int64_t start_ns = read_clock(connection->worker);
    bool is_readable = (events & UV_READABLE) != 0;
    if (status < 0 || (is_readable && !receive_input(connection))) {
        connection_close(connection);
        return;
    }
    go_on(connection);
    uint64_t messages = metrics_read(metrics, METRIC_MESSAGES) - messages_before;
    if (messages != 0) metrics_add_messages(metrics, clock_monotonic_ns() - start_ns, messages);
}

enum status connection_open(struct worker *worker, int fd, bool is_tcp) {
    int64_t now_ns = read_clock(worker);
    struct connection *connection = calloc(1, sizeof(*connection));
    enum status status = STATUS_NO_MEMORY;
    if (connection == NULL) goto failed;
    connection->worker = worker;
    connection->fd = fd;
    connection->progress_ns = now_ns;
    status = http2_session_new(&worker->http2, &grpc_call_handler, &worker->grpc, now_ns,
                               &connection->session);
    if (status != STATUS_OK) goto failed;
    status = STATUS_SYSTEM;
    if (uv_poll_init(&worker->loop, &connection->poll, fd) != 0) goto failed;
    connection->poll.data = connection;

    int on = 1;
    if (is_tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->next = worker->connections;
    connection->previous_next = &worker->connections;
    if (connection->next != NULL) connection->next->previous_next = &connection->next;
    worker->connections = connection;
    metrics_add(&worker->metrics, METRIC_CONNECTIONS, 1);
    metrics_add(&worker->metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
    go_on(connection);
    return STATUS_OK;
failed:
    if (connection != NULL) http2_session_free(connection->session);
    free(connection);
    close(fd);
    return status;
}

static void close_silent(struct connection *connection) {
    metrics_add(&connection->worker->metrics, METRIC_CONNECTIONS_SILENT, 1);
    connection_close(connection);
}

void connection_tick(struct connection *connection, int64_t now_ns) {
    connection->worker->grpc.now_ns = now_ns;
    if (connection->ended_ns != 0) {
        if (now_ns - connection->ended_ns > LINGER_NS) connection_close(connection);
        return;
    }
    bool is_blocked = connection->unsent.len != 0 && now_ns - connection->progress_ns > BLOCKED_NS;
    if (is_blocked || http2_session_tick(connection->session, now_ns) != STATUS_OK) {
        close_silent(connection);
        return;
    }
    go_on(connection);
}

void connection_flush(struct connection *connection) {
    read_clock(connection->worker);
    go_on(connection);
}

void connection_drain(struct connection *connection) {
    int64_t now_ns = read_clock(connection->worker);
    http2_session_drain(connection->session, now_ns);
    connection_tick(connection, now_ns);  // one that was silent until now can go at once
}

struct connection *connection_next(const struct connection *connection) {
    return connection->next;
}
