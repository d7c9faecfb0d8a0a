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

// Removes a Unix socket that was left by a process that is gone: nobody answers there. What is no
// socket, or is answered, stays, and bind says that the address is in use.
static void remove_stale(const struct listen_address *address) {
    struct stat found;
    const char *path = unix_path(&address->socket);
    if (lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode)) return;
    int fd = new_socket(AF_UNIX);
    if (fd < 0) return;
    int error = connect(fd, (const struct sockaddr *)&address->socket, address->socket_len);
    if (error != 0 && errno == ECONNREFUSED) unlink(path);
    close(fd);
}

// Binds and listens, or fails with errno set and nothing left behind.
static bool bind_and_listen(int fd, const struct listen_address *address) {
    if (bind(fd, (const struct sockaddr *)&address->socket, address->socket_len) != 0) return false;
    if (family_of(address) != AF_UNIX) return listen(fd, BACKLOG) == 0;
    // Until listen nobody can connect, so nobody meets the mode that the umask gave.
    const char *path = unix_path(&address->socket);
    if (chmod(path, address->mode) == 0 && listen(fd, BACKLOG) == 0) return true;
    int error = errno;
    unlink(path);
    errno = error;
    return false;
}

static int open_fd(const struct listen_address *address) {
    int fd = new_socket(family_of(address));
    if (fd < 0) return -1;
    int on = 1;
    if (family_of(address) == AF_UNIX) {
        remove_stale(address);
    } else {
        // Or else a restart has to wait for the last connections' TIME-WAIT to end.
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (family_of(address) == AF_INET6) {
        int only_v6 = !address->is_any;
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6));
    }
    if (bind_and_listen(fd, address)) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool lacks_ipv6(int error) {
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

// Where the machine has no IPv6, every address is every IPv4 address.
static int open_any(const struct listen_address *address) {
    int fd = open_fd(address);
    if (fd >= 0 || !lacks_ipv6(errno) || !address->is_any) return fd;
    in_port_t port = ((const struct sockaddr_in6 *)&address->socket)->sin6_port;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
    struct listen_address every = {.socket_len = sizeof(v4), .is_any = true};
    memcpy(&every.socket, &v4, sizeof(v4));
    return open_fd(&every);
}

enum status listen_socket_open(const struct listen_address *address,
                               struct listen_socket *ret_socket,
                               char ret_message[LISTEN_MESSAGE_BYTES]) {
    struct listen_socket new = {.is_tcp = family_of(address) != AF_UNIX};
    new.fd = open_any(address);
    if (new.fd < 0) {
        int error = errno;
        write_name(&address->socket, new.name);
        snprintf(ret_message, LISTEN_MESSAGE_BYTES, "can't listen on %s: %s", new.name,
                 uv_strerror(-error));
        errno = error;
        return error == EADDRINUSE ? STATUS_BUSY : STATUS_SYSTEM;
    }
    new.peer_len = sizeof(new.peer);
    getsockname(new.fd, (struct sockaddr *)&new.peer, &new.peer_len);
    write_name(&new.peer, new.name);
    aim_at_loopback(&new.peer, address->is_any);
    struct stat made;
    if (!new.is_tcp && lstat(unix_path(&new.peer), &made) == 0) {
        new.device = made.st_dev;
        new.inode = made.st_ino;
    }
    *ret_socket = new;
    return STATUS_OK;
}

void listen_socket_close(struct listen_socket *socket) {
    if (socket->fd < 0) return;
    close(socket->fd);
    socket->fd = -1;
    if (socket->is_tcp) return;
    struct stat found;
    const char *path = unix_path(&socket->peer);
    if (lstat(path, &found) != 0) return;
    if (found.st_dev == socket->device && found.st_ino == socket->inode) unlink(path);
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
