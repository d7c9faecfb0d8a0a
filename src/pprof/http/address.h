// SPDX-License-Identifier: Apache-2.0
// From "localhost:6060" to listening sockets.
#pragma once

#include <stddef.h>

#include "pprof/pprof.h"

struct listeners {
    int sockets[PPROF_ADDRESSES_MOST];
    char addresses[PPROF_ADDRESSES_MOST][PPROF_ADDRESS_BYTES];  // as bound
    size_t count;
};

// Binds and listens. 0, or a negative errno with the reason in `ret_message`; nothing is left open
// then. `localhost` is 127.0.0.1 and ::1, a socket each, on the same port; an empty host is every
// address; else an IP literal, IPv6 in brackets. Where the machine has no IPv6, ::1 is left out.
// Context: start-up.
int listeners_open(const char *address, struct listeners *ret_listeners,
                   char ret_message[PPROF_MESSAGE_BYTES]);

// What of listeners_open can be told without opening anything: 0 or -EINVAL. Context: any thread.
int listeners_check(const char *address, char ret_message[PPROF_MESSAGE_BYTES]);

void listeners_close(struct listeners *listeners);
