// SPDX-License-Identifier: Apache-2.0
// Sockets that listen: bound, named, removed.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "extproc/listen/address.h"

// The kernel cuts it to net.core.somaxconn.
enum { BACKLOG = 4096 };

static int family_of(const struct listen_address *address) {
    return address->socket.ss_family;
}

static int new_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static const char *unix_path(const struct sockaddr_storage *address) {
    return ((const struct sockaddr_un *)address)->sun_path;
}

static void write_name(const struct sockaddr_storage *address, char name[LISTEN_NAME_BYTES]) {
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_UNIX) {
        snprintf(name, LISTEN_NAME_BYTES, "unix://%s", unix_path(address));
        return;
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(name, LISTEN_NAME_BYTES, "[%s]:%u", host, ntohs(v6->sin6_port));
        return;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
    snprintf(name, LISTEN_NAME_BYTES, "%s:%u", host, ntohs(v4->sin_port));
}

// One can't connect to "every address": its loopback address stands in. IPv4's, where both families
// lead there: a machine may have IPv6 sockets and no ::1 (net.ipv6.conf.all.disable_ipv6).
static void aim_at_loopback(struct sockaddr_storage *peer, bool is_any) {
    static const struct in6_addr v4_mapped = {.s6_addr = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)peer;
    struct sockaddr_in *v4 = (struct sockaddr_in *)peer;
    if (peer->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
        v6->sin6_addr = is_any ? v4_mapped : in6addr_loopback;
    }
    if (peer->ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY)) {
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
}

// Whether somebody listens on a Unix socket.
static bool is_answered(const struct sockaddr_un *address) {
    int fd = new_socket(AF_UNIX);
    if (fd < 0) return false;
    bool is_there = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    close(fd);
    return is_there;
}

// What a draft's name ends with, the first that is free: one for each address of a list, at least.
static const char draft_ends[] = "~_^%@!+=#:;&$()[]{}";

_Static_assert(sizeof(draft_ends) - 2 >= LISTEN_ADDRESSES_MOST, "one may be the path itself");

// A name beside the path, as long as it: what the kernel takes for the one it takes for the other.
static struct sockaddr_un beside(const struct sockaddr_un *path, char end) {
    struct sockaddr_un name = *path;
    name.sun_path[strlen(name.sun_path) - 1] = end;
    return name;
}

// Left over by a process that was killed between its open and its publish.
static void remove_dead(const struct sockaddr_un *draft) {
    struct stat found;
    if (lstat(draft->sun_path, &found) != 0 || !S_ISSOCK(found.st_mode)) return;
    if (!is_answered(draft)) unlink(draft->sun_path);
}

static bool bind_beside(int fd, const struct sockaddr_un *path, struct sockaddr_un *ret_draft) {
    errno = EADDRINUSE;
    for (const char *end = draft_ends; *end != '\0' && errno == EADDRINUSE; end++) {
        struct sockaddr_un draft = beside(path, *end);
        if (strcmp(draft.sun_path, path->sun_path) == 0) continue;
        remove_dead(&draft);
        *ret_draft = draft;
        if (bind(fd, (const struct sockaddr *)&draft, sizeof(draft)) == 0) return true;
    }
    return false;
}

// Listens under a name beside the path; what is no socket at the path is left alone.
static bool listen_beside(int fd, const struct listen_address *address, bool *ret_is_taken_over) {
    struct sockaddr_un own, draft;
    memcpy(&own, &address->socket, sizeof(own));
    struct stat found;
    bool has_old = lstat(own.sun_path, &found) == 0;
    if (has_old && !S_ISSOCK(found.st_mode)) {
        errno = ENOTSOCK;
        return false;
    }
    *ret_is_taken_over = has_old && is_answered(&own);
    if (!bind_beside(fd, &own, &draft)) return false;
    // Until listen nobody can connect, so nobody meets the mode that the umask gave.
    if (chmod(draft.sun_path, address->mode) == 0 && listen(fd, BACKLOG) == 0) return true;
    int error = errno;
    unlink(draft.sun_path);
    errno = error;
    return false;
}

// Binds and listens, or fails with errno set and nothing left behind.
static bool bind_and_listen(int fd, const struct listen_address *address, bool *ret_is_taken_over) {
    if (family_of(address) == AF_UNIX) return listen_beside(fd, address, ret_is_taken_over);
    return bind(fd, (const struct sockaddr *)&address->socket, address->socket_len) == 0 &&
           listen(fd, BACKLOG) == 0;
}

static int open_fd(const struct listen_address *address, bool *ret_is_taken_over) {
    int fd = new_socket(family_of(address));
    if (fd < 0) return -1;
    int on = 1;
    if (family_of(address) != AF_UNIX) {
        // Or else a restart has to wait for the last connections' TIME-WAIT to end.
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (family_of(address) == AF_INET6) {
        int only_v6 = !address->is_any;
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6));
    }
    if (bind_and_listen(fd, address, ret_is_taken_over)) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool lacks_ipv6(int error) {
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

// Where the machine has no IPv6, every address is every IPv4 address.
static int open_any(const struct listen_address *address, bool *ret_is_taken_over) {
    int fd = open_fd(address, ret_is_taken_over);
    if (fd >= 0 || !lacks_ipv6(errno) || !address->is_any) return fd;
    in_port_t port = ((const struct sockaddr_in6 *)&address->socket)->sin6_port;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
    struct listen_address every = {.socket_len = sizeof(v4), .is_any = true};
    memcpy(&every.socket, &v4, sizeof(v4));
    return open_fd(&every, ret_is_taken_over);
}

// `error` is an errno, and stays it.
static enum status refuse(int error, const char *name, char message[LISTEN_MESSAGE_BYTES]) {
    const char *reason = error == ENOTSOCK ? "what is there is no socket" : uv_strerror(-error);
    snprintf(message, LISTEN_MESSAGE_BYTES, "can't listen on %s: %s", name, reason);
    errno = error;
    return error == EADDRINUSE || error == ENOTSOCK ? STATUS_BUSY : STATUS_SYSTEM;
}

// The name that the socket was bound to: the kernel doesn't know of a rename.
static struct sockaddr_un draft_of(const struct listen_socket *socket) {
    struct sockaddr_un draft = {0};
    socklen_t len = sizeof(draft);
    getsockname(socket->fd, (struct sockaddr *)&draft, &len);
    return draft;
}

// Whether the file is this socket's. As long as the socket is open no other one gets its number.
static bool is_own(const struct listen_socket *socket, const char *path) {
    struct stat found;
    return lstat(path, &found) == 0 && found.st_dev == socket->device &&
           found.st_ino == socket->inode;
}

enum status listen_socket_open(const struct listen_address *address,
                               struct listen_socket *ret_socket,
                               char ret_message[LISTEN_MESSAGE_BYTES]) {
    struct listen_socket new = {.is_tcp = family_of(address) != AF_UNIX};
    new.fd = open_any(address, &new.is_taken_over);
    if (new.fd < 0) {
        int error = errno;
        write_name(&address->socket, new.name);
        return refuse(error, new.name, ret_message);
    }
    new.peer = address->socket;
    new.peer_len = address->socket_len;
    if (new.is_tcp) {
        new.peer_len = sizeof(new.peer);
        getsockname(new.fd, (struct sockaddr *)&new.peer, &new.peer_len);
    }
    write_name(&new.peer, new.name);
    aim_at_loopback(&new.peer, address->is_any);
    struct stat made;
    if (!new.is_tcp && lstat(draft_of(&new).sun_path, &made) == 0) {
        new.device = made.st_dev;
        new.inode = made.st_ino;
    }
    *ret_socket = new;
    return STATUS_OK;
}

enum status listen_sockets_publish(const struct listen_socket *sockets, size_t count,
                                   char ret_message[LISTEN_MESSAGE_BYTES]) {
    for (size_t i = 0; i < count; i++) {
        if (sockets[i].is_tcp) continue;
        struct sockaddr_un draft = draft_of(&sockets[i]);
        // Else another process that starts, too, took it for left over.
        bool is_there = is_own(&sockets[i], draft.sun_path);
        if (is_there && rename(draft.sun_path, unix_path(&sockets[i].peer)) == 0) continue;
        return refuse(is_there ? errno : EADDRINUSE, sockets[i].name, ret_message);
    }
    return STATUS_OK;
}

void listen_socket_close(struct listen_socket *socket) {
    if (socket->fd < 0) return;
    if (!socket->is_tcp) {
        const struct sockaddr_un draft = draft_of(socket);
        const char *const names[] = {draft.sun_path, unix_path(&socket->peer)};
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            if (is_own(socket, names[i])) unlink(names[i]);
        }
    }
    close(socket->fd);
    socket->fd = -1;
}

enum status listen_sockets_open(const struct listen_address *addresses, size_t count,
                                struct listen_socket ret_sockets[LISTEN_ADDRESSES_MOST],
                                size_t *ret_count, char ret_message[LISTEN_MESSAGE_BYTES]) {
    size_t opened = 0;
    for (size_t i = 0; i < count; i++) {
        struct listen_address address = addresses[i];
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address.socket;
        if (address.is_optional && v6->sin6_port == 0) {
            v6->sin6_port = ((const struct sockaddr_in *)&ret_sockets[opened - 1].peer)->sin_port;
        }
        enum status status = listen_socket_open(&address, &ret_sockets[opened], ret_message);
        if (status == STATUS_OK) {
            opened++;
            continue;
        }
        if (address.is_optional && lacks_ipv6(errno)) continue;
        listen_sockets_close(ret_sockets, opened);
        return status;
    }
    *ret_count = opened;
    return STATUS_OK;
}

void listen_sockets_close(const struct listen_socket *sockets, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct listen_socket socket = sockets[i];
        listen_socket_close(&socket);
    }
}
