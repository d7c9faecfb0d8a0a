// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection. Pure.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "pprof/pprof.h"

// An address without its port; IPv4 as IPv6 has it, ::ffff:A.B.C.D.
struct peer {
    struct in6_addr address;
    bool is_loopback;  // 127.0.0.0/8, ::1
};

struct peer peer_of(const struct sockaddr *address);

bool peer_is(const struct peer *peer, const struct peer *other);

// "127.0.0.1:6060", "[::1]:6060"; an IPv4 peer of an IPv6 socket as the former. "?" for what is
// neither. Returns the port.
uint16_t peer_print(const struct sockaddr *address, char ret_text[PPROF_ADDRESS_BYTES]);
