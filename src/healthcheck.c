// SPDX-License-Identifier: Apache-2.0
// One request over one socket, all of it under one alarm: no resolver has a deadline of its own.
#include "healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "extproc/grpc/probe.h"

enum { SECONDS_MOST = 2, HOST_BYTES = 256, ADDRESS_BYTES = HOST_BYTES + 32, ANSWER_BYTES = 1024 };

static int complain(const char *address, const char *what) {
    fprintf(stderr, "unhealthy: %s: %s\n", address, what);
    return 1;
}

static void give_up(int signal) {
    (void)signal;
    static const char line[] = "unhealthy: no answer in time\n";
    ssize_t ignored = write(STDERR_FILENO, line, sizeof(line) - 1);
    (void)ignored;
    _exit(1);
}

// The first address of a comma-separated list.
static void take_first(const char *list, char ret_address[ADDRESS_BYTES]) {
    const char *first = list + strspn(list, " ");
    snprintf(ret_address, ADDRESS_BYTES, "%.*s", (int)strcspn(first, ", "), first);
}

// Splits at the last colon and takes the brackets off an IPv6 host. False: there is no port.
static bool split(const char *address, char ret_host[HOST_BYTES], const char **ret_port) {
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon[1] == '\0') return false;
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len >= HOST_BYTES) return false;
    memcpy(ret_host, address, len);
    ret_host[len] = '\0';
    *ret_port = colon + 1;
    return true;
}

// -1, with errno.
static int connect_to(const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

// Tries each address of the host. -1, with `ret_reason`, if none answers.
static int connect_to_host(const char *address, char ret_host[HOST_BYTES],
                           const char **ret_reason) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    const char *port;
    *ret_reason = "not HOST:PORT";
    if (!split(address, ret_host, &port)) return -1;
    int error = getaddrinfo(ret_host[0] != '\0' ? ret_host : NULL, port, &hints, &addresses);
    *ret_reason = gai_strerror(error);
    if (error != 0) return -1;
    int fd = -1;
    for (struct addrinfo *next = addresses; next != NULL && fd < 0; next = next->ai_next) {
        fd = connect_to(next);
    }
    *ret_reason = strerror(errno);
    freeaddrinfo(addresses);
    return fd;
}

// `path` may have a mode behind it, as in --listen. -1, with `ret_reason`.
static int connect_to_path(const char *path, const char **ret_reason) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t len = strcspn(path, "?");
    *ret_reason = "the path is longer than a Unix socket's can be";
    if (len >= sizeof(name.sun_path)) return -1;
    memcpy(name.sun_path, path, len);
    int fd = connect_to(&(const struct addrinfo){
        .ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)&name, .ai_addrlen = sizeof(name)});
    *ret_reason = strerror(errno);
    return fd;
}

// False, with errno, if the connection broke. What does not fit `ret_answer` is left unread.
static bool exchange(int fd, const char *request, char ret_answer[ANSWER_BYTES]) {
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) return false;
    size_t len = 0;
    ssize_t got;
    while ((got = recv(fd, ret_answer + len, ANSWER_BYTES - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    ret_answer[len] = '\0';
    return got == 0;
}

static int check_http(int fd, const char *address, const char *host) {
    char request[HOST_BYTES + 128], answer[ANSWER_BYTES];
    snprintf(request, sizeof(request),
             "GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
             host[0] != '\0' ? host : "localhost");
    if (!exchange(fd, request, answer)) return complain(address, strerror(errno));
    const char *body = strstr(answer, "\r\n\r\n");
    if (body == NULL) return complain(address, "no HTTP answer");
    bool is_healthy = strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
    return is_healthy ? 0 : complain(address, body + 4);
}

static int check_grpc(int fd, const char *address) {
    struct bytes request = probe_request();
    if (send(fd, request.data, request.len, MSG_NOSIGNAL) < 0) {
        return complain(address, strerror(errno));
    }
    struct probe probe = {0};
    enum probe_verdict verdict = PROBE_WAIT;
    while (verdict == PROBE_WAIT) {
        uint8_t input[ANSWER_BYTES];
        ssize_t got = recv(fd, input, sizeof(input), 0);
        if (got < 0) return complain(address, strerror(errno));
        if (got == 0) return complain(address, "no gRPC answer");
        verdict = probe_read(&probe, bytes_of(input, (size_t)got));
    }
    if (verdict == PROBE_BROKEN) return complain(address, "no gRPC health service");
    return verdict == PROBE_SERVING ? 0 : complain(address, "not serving");
}

static const char *after(const char *text, const char *prefix) {
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

int healthcheck_run(const char *addresses) {
    char address[ADDRESS_BYTES], host[HOST_BYTES] = "";
    take_first(addresses, address);
    if (address[0] == '\0') {
        return complain("there is no admin address",
                        "name a gRPC port instead: extproc healthcheck grpc://HOST:PORT");
    }
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = give_up}, NULL);
    alarm(SECONDS_MOST);

    const char *path = after(address, "unix://"), *grpc = after(address, "grpc://"), *reason;
    int fd = path != NULL ? connect_to_path(path, &reason)
                          : connect_to_host(grpc != NULL ? grpc : address, host, &reason);
    if (fd < 0) return complain(address, reason);

    int code = grpc != NULL ? check_grpc(fd, address) : check_http(fd, address, host);
    close(fd);
    alarm(0);
    if (code == 0) printf("healthy: %s\n", address);
    return code;
}
