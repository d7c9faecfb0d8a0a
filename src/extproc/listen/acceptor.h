// SPDX-License-Identifier: Apache-2.0
// The listening sockets on one loop: who comes is accepted and handed over. When there are no file
// descriptors left it pauses, because the socket stays readable and to try again at once would
// spin.
#pragma once

#include <uv.h>

#include "extproc/listen/address.h"
#include "extproc/metrics.h"

enum { ACCEPT_PAUSE_MS = 100 };

struct listener;

struct acceptor {
    /* set by the caller */
    struct metrics *metrics;  // borrowed
    // Takes over an accepted socket.
    void (*take)(void *context, int fd, bool is_tcp);
    void *context;

    /* own */
    uv_timer_t pause;
    bool has_pause;
    struct listener *listeners;
    size_t count;
    int64_t logged_ns;  // when it last said that it can't accept
};

// Takes over the sockets, also when it fails: then they are closed. Context: start-up.
MUST_USE enum status acceptor_init(struct acceptor *acceptor, const struct listen_socket *sockets,
                                   size_t count);

// Begins to accept on `loop`. Context: before the loop runs.
MUST_USE enum status acceptor_start(struct acceptor *acceptor, uv_loop_t *loop);

// Accepts up to `most` of those on each socket that the kernel has let in already.
void acceptor_take_waiting(struct acceptor *acceptor, size_t most);

// Closes the sockets and removes their Unix sockets. A second call does nothing.
void acceptor_close(struct acceptor *acceptor);

// The handles are gone from the loop once it has run again; acceptor_free comes after that.
void acceptor_stop(struct acceptor *acceptor);
void acceptor_free(struct acceptor *acceptor);
