// SPDX-License-Identifier: Apache-2.0
#include "extproc/admin/check.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "extproc/grpc/probe.h"

const char check_closed[] = "The gRPC listener closes connections.";

// False: the time is up.
static bool wait_for(int fd, short events, int64_t deadline_ns) {
    for (;;) {
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0) return false;
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int ready = poll(&poll_fd, 1, (int)(left_ns / NS_PER_MS) + 1);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

static bool connect_to(int fd, const struct listen_socket *socket, int64_t deadline_ns) {
    if (connect(fd, (const struct sockaddr *)&socket->peer, socket->peer_len) == 0) return true;
    if (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline_ns)) return false;
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
}

static const char *exchange(int fd, int64_t deadline_ns) {
    struct bytes request = probe_request();
    // A fresh socket's buffer holds the few bytes of the request whole.
    if (send(fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len) {
        return check_closed;
    }
    struct probe probe = {0};
    enum probe_verdict verdict = PROBE_WAIT;
    while (verdict == PROBE_WAIT) {
        uint8_t input[512];
        if (!wait_for(fd, POLLIN, deadline_ns)) return "The gRPC listener does not answer in time.";
        ssize_t len = recv(fd, input, sizeof(input), 0);
        if (len < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (len <= 0) return check_closed;
        verdict = probe_read(&probe, bytes_of(input, (size_t)len));
    }
    if (verdict == PROBE_SERVING) return NULL;
    return verdict == PROBE_NOT_SERVING ? "The gRPC listener says that it is not serving."
                                        : "The gRPC listener refuses health checks.";
}

const char *check_listener(const struct listen_socket *address, int64_t deadline_ns) {
    int fd = socket(address->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return "There is no file descriptor left to ask the gRPC listener.";
    const char *reason = connect_to(fd, address, deadline_ns)
                             ? exchange(fd, deadline_ns)
                             : "The gRPC listener does not take connections.";
    close(fd);
    return reason;
}
