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
#include <unistd.h>

#include "extproc/grpc/probe.h"

enum { SECONDS_MOST = 2, HOST_BYTES = 256, ANSWER_BYTES = 1024 };

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

// Tries each address of the host. -1, with errno, if none answers.
static int connect_any(const struct addrinfo *addresses) {
    for (const struct addrinfo *next = addresses; next != NULL; next = next->ai_next) {
        int fd = socket(next->ai_family, next->ai_socktype | SOCK_CLOEXEC, next->ai_protocol);
        if (fd < 0) continue;
        if (connect(fd, next->ai_addr, next->ai_addrlen) == 0) return fd;
        int error = errno;
        close(fd);
        errno = error;
    }
    return -1;
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

int healthcheck_run(const char *address) {
    static const char scheme[] = "grpc://";
    bool is_grpc = strncmp(address, scheme, sizeof(scheme) - 1) == 0;
    char host[HOST_BYTES];
    const char *port;
    if (!split(address + (is_grpc ? sizeof(scheme) - 1 : 0), host, &port)) {
        return complain(address, "not HOST:PORT");
    }
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = give_up}, NULL);
    alarm(SECONDS_MOST);

    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    int error = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &addresses);
    if (error != 0) return complain(address, gai_strerror(error));
    int fd = connect_any(addresses);
    freeaddrinfo(addresses);
    if (fd < 0) return complain(address, strerror(errno));

    int code = is_grpc ? check_grpc(fd, address) : check_http(fd, address, host);
    close(fd);
    alarm(0);
    if (code == 0) printf("healthy: %s\n", address);
    return code;
}
