// SPDX-License-Identifier: Apache-2.0
// Addresses as one types them, and sockets that listen on them.
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/status.h"

enum {
    LISTEN_ADDRESSES_MOST = 16,  // localhost counts as two
    LISTEN_NAME_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof("unix://"),
    LISTEN_MESSAGE_BYTES = 256,
};

// Where to listen, or to connect to.
struct listen_address {
    struct sockaddr_storage socket;
    socklen_t socket_len;
    bool is_any;       // of both families, where the machine has both
    bool is_optional;  // ::1 of localhost: nothing is amiss if the machine has no IPv6
    mode_t mode;       // of a Unix socket
};

// Reads `:1063`, `127.0.0.1:0`, `[::1]:1063`, `localhost:1063`, `unix:///path` or
// `unix:///path?mode=0666`. `localhost` is 127.0.0.1, and in a list ::1 besides.
// STATUS_MALFORMED with the reason in `ret_message`.
MUST_USE enum status listen_address_parse(struct bytes text, struct listen_address *ret_address,
                                          char ret_message[LISTEN_MESSAGE_BYTES]);

// Reads a comma-separated list of 1 to LISTEN_ADDRESSES_MOST; spaces around an address are ignored.
// An optional address comes behind the one that it belongs to.
MUST_USE enum status listen_address_parse_list(
    const char *text, struct listen_address ret_addresses[LISTEN_ADDRESSES_MOST], size_t *ret_count,
    char ret_message[LISTEN_MESSAGE_BYTES]);

// A socket that listens.
struct listen_socket {
    int fd;  // non-blocking, close-on-exec
    bool is_tcp;
    bool is_taken_over;            // somebody else still listened there
    char name[LISTEN_NAME_BYTES];  // "[::]:1063", "unix:///run/extproc.sock": the real port
    struct sockaddr_storage peer;  // where this machine's own clients connect to
    socklen_t peer_len;
    dev_t device;  // of a Unix socket, to remove no other one
    ino_t inode;
};

// Binds and listens. A Unix socket listens under a name beside its path until
// listen_sockets_publish; its mode is set before anybody can connect. STATUS_BUSY: somebody listens
// on the port, or the path is another kind of file; STATUS_SYSTEM; both with the reason in
// `ret_message`, and nothing is left behind.
MUST_USE enum status listen_socket_open(const struct listen_address *address,
                                        struct listen_socket *ret_socket,
                                        char ret_message[LISTEN_MESSAGE_BYTES]);

// Opens all of a list, or none: the status and reason are those of the first that fails. The second
// address of `localhost:0` gets the port of the first.
MUST_USE enum status listen_sockets_open(const struct listen_address *addresses, size_t count,
                                         struct listen_socket ret_sockets[LISTEN_ADDRESSES_MOST],
                                         size_t *ret_count, char ret_message[LISTEN_MESSAGE_BYTES]);

// Puts the Unix sockets of a list at their paths, in place of those that are there, also of those
// on which somebody listens: whoever connects reaches either. To be the last step of a start: what
// was there is lost. STATUS_BUSY, STATUS_SYSTEM; those before the one that fails have been put
// there.
MUST_USE enum status listen_sockets_publish(const struct listen_socket *sockets, size_t count,
                                            char ret_message[LISTEN_MESSAGE_BYTES]);

// Closes it and removes its Unix socket, unless another process has put its own there since. A
// second call does nothing.
void listen_socket_close(struct listen_socket *socket);

// The same for a list that nobody has taken over.
void listen_sockets_close(const struct listen_socket *sockets, size_t count);
