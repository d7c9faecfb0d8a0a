// SPDX-License-Identifier: Apache-2.0
// An HTTP client for tests of the server: sends bytes to a loopback address in the form that the
// server prints it, and reads what comes until the server closes.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

// "127.0.0.1:PORT" or "[::1]:PORT". The caller closes it.
static inline int client_connect(const char *address) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to = {0};
    const char *colon = strrchr(address, ':');
    assert_non_null(colon);
    uint16_t port = htons((uint16_t)atoi(colon + 1));
    bool is_v6 = address[0] == '[';
    if (is_v6) {
        to.v6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    } else {
        to.v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    }
    int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to.any, is_v6 ? sizeof to.v6 : sizeof to.v4), 0);
    return fd;
}

static inline void client_send(int fd, struct bytes bytes) {
    while (bytes.len != 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0) return;  // the server has closed; its answer tells
        bytes = bytes_of(bytes.data + sent, bytes.len - (size_t)sent);
    }
}

// All that comes until the end, with a NUL behind. The caller frees `out`.
static inline void client_read_all(int fd, struct buffer *out) {
    ssize_t got;
    do {
        uint8_t *room;
        assert_int_equal(buffer_reserve(out, 4096, &room), STATUS_OK);
        got = recv(fd, room, 4095, 0);
        if (got > 0) out->len += (size_t)got;
    } while (got > 0);
    out->data[out->len] = '\0';
}

// Cuts an answer down to its body, without the sizes between chunks.
static inline void client_keep_body(struct buffer *answer) {
    char *text = (char *)answer->data;
    char *head_end = strstr(text, "\r\n\r\n");
    assert_non_null(head_end);
    char *chunked = strstr(text, "Transfer-Encoding: chunked");
    bool is_chunked = chunked != NULL && chunked < head_end;
    buffer_remove_front(answer, (size_t)(head_end + 4 - text));
    answer->data[answer->len] = '\0';
    if (!is_chunked) return;
    size_t len = 0;
    for (size_t at = 0;;) {
        char *line_end;
        size_t size = strtoul(text + at, &line_end, 16);
        assert_memory_equal(line_end, "\r\n", 2);
        at = (size_t)(line_end + 2 - text);
        if (size == 0) break;
        assert_true(size + 2 <= answer->len - at);
        memmove(text + len, text + at, size);
        len += size;
        at += size + 2;
    }
    answer->len = len;
    text[len] = '\0';
}

// One request on a connection of its own; it must ask for the connection to be closed.
static inline const char *client_ask(const char *address, const char *request, struct buffer *out) {
    int fd = client_connect(address);
    client_send(fd, bytes_of_text(request));
    out->len = 0;
    client_read_all(fd, out);
    close(fd);
    return (const char *)out->data;
}
