// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attributes.h"
#include "pprof/http/peer.h"

enum { BACKLOG = 512, HOST_BYTES = 64 };

struct endpoint {
    char host[HOST_BYTES];
    uint16_t port;
};

static int fail(int error, char message[PPROF_MESSAGE_BYTES], const char *address,
                const char *reason) {
    snprintf(message, PPROF_MESSAGE_BYTES, "PPROF_ADDRESS: %.128s: %s", address, reason);
    return -error;
}

static bool read_port(const char *text, uint16_t *ret_port) {
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) return false;
    long port = strtol(text, NULL, 10);
    if (port > UINT16_MAX) return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool split(const char *address, struct endpoint *ret) {
    const char *colon = strrchr(address, ':');
    if (colon == NULL || !read_port(colon + 1, &ret->port)) return false;
    const char *start = address;
    const char *end = colon;
    if (end > start && *start == '[') {
        if (end[-1] != ']') return false;
        start++;
        end--;
    } else if (memchr(start, ':', (size_t)(end - start)) != NULL) {
        return false;  // IPv6 without brackets: where does the port begin?
    }
    if ((size_t)(end - start) >= sizeof ret->host) return false;
    memset(ret->host, 0, sizeof ret->host);
    memcpy(ret->host, start, (size_t)(end - start));
    return true;
}

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_host(const char *host, uint16_t port, union socket_address *ret) {
    *ret = (union socket_address){0};
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        return true;
    }
    *ret = (union socket_address){0};
    if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        return true;
    }
    return false;
}

// 0 or a negative errno. `is_dual`: an IPv6 socket that takes IPv4 too.
static int open_one(struct listeners *listeners, const char *host, uint16_t *port, bool is_dual) {
    union socket_address address;
    if (!parse_host(host, *port, &address)) return -EINVAL;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    bool is_v6 = address.any.sa_family == AF_INET6;
    int on = 1;
    int is_v6_only = !is_dual;
    socklen_t size = is_v6 ? sizeof address.v6 : sizeof address.v4;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (is_v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_v6_only, sizeof is_v6_only);
    if (bind(fd, &address.any, size) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    listeners->sockets[listeners->count] = fd;
    size = sizeof address;
    getsockname(fd, &address.any, &size);
    *port = peer_print(&address.any, listeners->addresses[listeners->count]);
    listeners->count++;
    return 0;
}

static bool is_lack_of_ipv6(int error) {
    return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL || error == -EPROTONOSUPPORT;
}

static int open_localhost_once(struct listeners *listeners, uint16_t port) {
    int error = open_one(listeners, "127.0.0.1", &port, false);
    if (error != 0) return error;
    // A name resolver may answer ::1 first: were it another program's, the user would meet that.
    error = open_one(listeners, "::1", &port, false);
    return is_lack_of_ipv6(error) ? 0 : error;
}

// A port of the kernel's choice for the one may be taken for the other: then another is tried.
static int open_localhost(struct listeners *listeners, uint16_t port) {
    enum { TRIES = 16 };
    int error = open_localhost_once(listeners, port);
    for (int i = 1; i < TRIES && port == 0 && error == -EADDRINUSE; i++) {
        listeners_close(listeners);
        error = open_localhost_once(listeners, port);
    }
    return error;
}

static int open_all(struct listeners *listeners, uint16_t port) {
    int error = open_one(listeners, "::", &port, true);
    return is_lack_of_ipv6(error) ? open_one(listeners, "0.0.0.0", &port, false) : error;
}

static bool is_localhost(const struct endpoint *endpoint) {
    return strcmp(endpoint->host, "localhost") == 0;
}

static int read_address(const char *address, struct endpoint *ret,
                        char message[PPROF_MESSAGE_BYTES]) {
    union socket_address parsed;
    if (!split(address, ret)) {
        return fail(EINVAL, message, address, "not HOST:PORT, [IPV6]:PORT or :PORT");
    }
    bool is_literal = ret->host[0] == '\0' || parse_host(ret->host, ret->port, &parsed);
    if (is_literal || is_localhost(ret)) return 0;
    return fail(EINVAL, message, address, "the host must be localhost or an IP address");
}

int listeners_check(const char *address, char ret_message[PPROF_MESSAGE_BYTES]) {
    struct endpoint endpoint;
    return read_address(address, &endpoint, ret_message);
}

int listeners_open(const char *address, struct listeners *ret_listeners,
                   char ret_message[PPROF_MESSAGE_BYTES]) {
    struct endpoint endpoint;
    struct listeners listeners = {0};
    int error = read_address(address, &endpoint, ret_message);
    if (error != 0) return error;
    if (is_localhost(&endpoint)) {
        error = open_localhost(&listeners, endpoint.port);
    } else if (endpoint.host[0] == '\0') {
        error = open_all(&listeners, endpoint.port);
    } else {
        error = open_one(&listeners, endpoint.host, &endpoint.port, false);
    }
    if (error != 0) {
        listeners_close(&listeners);
        return fail(-error, ret_message, address, strerror(-error));
    }
    *ret_listeners = listeners;
    return 0;
}

void listeners_close(struct listeners *listeners) {
    for (size_t i = 0; i < listeners->count; i++) close(listeners->sockets[i]);
    listeners->count = 0;
}
