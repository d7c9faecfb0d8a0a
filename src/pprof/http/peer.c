// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { MAPPED_AT = 12 };  // where the IPv4 address begins in ::ffff:A.B.C.D

static uint16_t read_port(const struct sockaddr *address) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, address, sizeof v4);
    if (address->sa_family == AF_INET) return ntohs(v4.sin_port);
    memcpy(&v6, address, sizeof v6);
    return ntohs(v6.sin6_port);
}

static bool is_internet(const struct sockaddr *address) {
    return address != NULL && (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

struct peer peer_of(const struct sockaddr *address) {
    struct peer peer = {0};
    if (!is_internet(address)) return peer;
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        peer.address = v6.sin6_addr;
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        peer.address.s6_addr[10] = peer.address.s6_addr[11] = 0xff;
        memcpy(&peer.address.s6_addr[MAPPED_AT], &v4.sin_addr, sizeof v4.sin_addr);
    }
    bool is_mapped = IN6_IS_ADDR_V4MAPPED(&peer.address);
    peer.is_loopback = is_mapped ? peer.address.s6_addr[MAPPED_AT] == 127
                                 : IN6_IS_ADDR_LOOPBACK(&peer.address);
    return peer;
}

bool peer_is(const struct peer *peer, const struct peer *other) {
    return memcmp(&peer->address, &other->address, sizeof peer->address) == 0;
}

uint16_t peer_print(const struct sockaddr *address, char ret_text[PPROF_ADDRESS_BYTES]) {
    snprintf(ret_text, PPROF_ADDRESS_BYTES, "?");
    if (!is_internet(address)) return 0;
    struct peer peer = peer_of(address);
    char host[INET6_ADDRSTRLEN];
    uint16_t port = read_port(address);
    bool is_mapped = IN6_IS_ADDR_V4MAPPED(&peer.address);
    const void *bytes = is_mapped ? &peer.address.s6_addr[MAPPED_AT] : peer.address.s6_addr;
    inet_ntop(is_mapped ? AF_INET : AF_INET6, bytes, host, sizeof host);
    snprintf(ret_text, PPROF_ADDRESS_BYTES, is_mapped ? "%s:%u" : "[%s]:%u", host, port);
    return port;
}
