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

int healthcheck_run(const char *address) {
    char host[HOST_BYTES], request[HOST_BYTES + 128], answer[ANSWER_BYTES];
    const char *port;
    if (!split(address, host, &port)) return complain(address, "not HOST:PORT");
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = give_up}, NULL);
    alarm(SECONDS_MOST);

    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    int error = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &addresses);
    if (error != 0) return complain(address, gai_strerror(error));
    int fd = connect_any(addresses);
    freeaddrinfo(addresses);
    if (fd < 0) return complain(address, strerror(errno));

    snprintf(request, sizeof(request),
             "GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
             host[0] != '\0' ? host : "localhost");
    bool is_answered = exchange(fd, request, answer);
    error = errno;
    close(fd);
    alarm(0);
    if (!is_answered) return complain(address, strerror(error));

    const char *body = strstr(answer, "\r\n\r\n");
    if (body == NULL) return complain(address, "no HTTP answer");
    if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0) return complain(address, body + 4);
    printf("healthy: %s\n", address);
    return 0;
}
