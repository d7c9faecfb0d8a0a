// SPDX-License-Identifier: Apache-2.0
// The textual form of addresses.
#include "extproc/listen/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

enum { SOCKET_MODE = 0660, HOST_BYTES = INET6_ADDRSTRLEN };

static enum status refuse(char message[LISTEN_MESSAGE_BYTES], struct bytes text,
                          const char *reason) {
    int len = text.len < 128 ? (int)text.len : 128;
    snprintf(message, LISTEN_MESSAGE_BYTES, "\"%.*s\" is no address: %s", len,
             (const char *)text.data, reason);
    return STATUS_MALFORMED;
}

// Digits of `base` up to `most`, nothing else.
static bool parse_number(struct bytes text, unsigned base, unsigned most, unsigned *ret_number) {
    unsigned number = 0;
    if (text.len == 0 || text.len > 6) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] >= '0' + base) return false;
        number = number * base + (text.data[i] - '0');
    }
    if (number > most) return false;
    *ret_number = number;
    return true;
}

static struct bytes after(struct bytes text, size_t count) {
    return bytes_of(text.data + count, text.len - count);
}

static enum status parse_unix(struct bytes text, struct listen_address *ret_address,
                              char ret_message[LISTEN_MESSAGE_BYTES]) {
    struct bytes path = after(text, strlen("unix://"));
    unsigned mode = SOCKET_MODE;
    const uint8_t *query = path.len != 0 ? memchr(path.data, '?', path.len) : NULL;
    if (query != NULL) {
        struct bytes setting = after(path, (size_t)(query - path.data));
        struct bytes name = BYTES_LITERAL("?mode=");
        if (!bytes_start_with(setting, name) ||
            !parse_number(after(setting, name.len), 8, 0777, &mode)) {
            return refuse(ret_message, text, "behind '?' only mode=0000 to mode=0777 is known");
        }
        path.len = (size_t)(query - path.data);
    }
    if (path.len < 2 || path.data[0] != '/') {
        return refuse(ret_message, text, "the path must begin with '/'");
    }
    struct sockaddr_un socket = {.sun_family = AF_UNIX};
    if (path.len >= sizeof(socket.sun_path)) {
        return refuse(ret_message, text, "the path is longer than a Unix socket's can be");
    }
    memcpy(socket.sun_path, path.data, path.len);
    *ret_address = (struct listen_address){.socket_len = sizeof(socket), .mode = (mode_t)mode};
    memcpy(&ret_address->socket, &socket, sizeof(socket));
    return STATUS_OK;
}

static bool parse_host(struct bytes host, uint16_t port, struct listen_address *ret_address) {
    if (bytes_equal(host, BYTES_LITERAL("localhost"))) host = BYTES_LITERAL("127.0.0.1");
    struct listen_address address = {.is_any = host.len == 0};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool is_v6 = host.len == 0;
    if (host.len != 0) {
        bool is_bracketed = host.data[0] == '[';
        if (is_bracketed && host.data[host.len - 1] != ']') return false;
        if (is_bracketed) host = bytes_of(host.data + 1, host.len - 2);
        char text[HOST_BYTES] = "";
        if (host.len >= sizeof(text)) return false;
        memcpy(text, host.data, host.len);
        is_v6 = is_bracketed;
        int known = is_v6 ? inet_pton(AF_INET6, text, &v6.sin6_addr)
                          : inet_pton(AF_INET, text, &v4.sin_addr);
        if (known != 1) return false;
    }
    address.socket_len = is_v6 ? sizeof(v6) : sizeof(v4);
    memcpy(&address.socket, is_v6 ? (void *)&v6 : (void *)&v4, address.socket_len);
    *ret_address = address;
    return true;
}

enum status listen_address_parse(struct bytes text, struct listen_address *ret_address,
                                 char ret_message[LISTEN_MESSAGE_BYTES]) {
    if (bytes_start_with(text, BYTES_LITERAL("unix://"))) {
        return parse_unix(text, ret_address, ret_message);
    }
    const uint8_t *colon = text.len != 0 ? memrchr(text.data, ':', text.len) : NULL;
    if (colon == NULL) return refuse(ret_message, text, "it has no port");
    size_t host_len = (size_t)(colon - text.data);
    unsigned port;
    if (!parse_number(after(text, host_len + 1), 10, UINT16_MAX, &port)) {
        return refuse(ret_message, text, "the port is not a number from 0 to 65535");
    }
    if (!parse_host(bytes_of(text.data, host_len), (uint16_t)port, ret_address)) {
        return refuse(ret_message, text,
                      "the host is neither empty, nor 1.2.3.4, nor [1:2::3], nor localhost");
    }
    return STATUS_OK;
}

static struct bytes trim(struct bytes text) {
    while (text.len != 0 && text.data[0] == ' ') {
        text = after(text, 1);
    }
    while (text.len != 0 && text.data[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

static bool is_localhost(struct bytes text) {
    return bytes_start_with(text, BYTES_LITERAL("localhost:"));
}

// ::1 with the port of 127.0.0.1.
static struct listen_address sixth_of(const struct listen_address *fourth) {
    in_port_t port = ((const struct sockaddr_in *)&fourth->socket)->sin_port;
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = in6addr_loopback};
    struct listen_address address = {.socket_len = sizeof(v6), .is_optional = true};
    memcpy(&address.socket, &v6, sizeof(v6));
    return address;
}

enum status listen_address_parse_list(const char *text,
                                      struct listen_address ret_addresses[LISTEN_ADDRESSES_MOST],
                                      size_t *ret_count, char ret_message[LISTEN_MESSAGE_BYTES]) {
    size_t count = 0;
    for (const char *next = text; next != NULL;) {
        const char *comma = strchr(next, ',');
        struct bytes one = comma != NULL ? bytes_of(next, (size_t)(comma - next))
                                         : bytes_of_text(next);
        next = comma != NULL ? comma + 1 : NULL;
        one = trim(one);
        size_t wanted = is_localhost(one) ? 2 : 1;
        if (count + wanted > LISTEN_ADDRESSES_MOST) {
            return refuse(ret_message, bytes_of_text(text), "there are more than 16");
        }
        enum status status = listen_address_parse(one, &ret_addresses[count], ret_message);
        if (status != STATUS_OK) return status;
        if (wanted == 2) ret_addresses[count + 1] = sixth_of(&ret_addresses[count]);
        count += wanted;
    }
    *ret_count = count;
    return STATUS_OK;
}
