// SPDX-License-Identifier: Apache-2.0
// One accepted connection on its worker's loop: socket bytes into the HTTP/2 session and out of it.
// What a slow reader has not taken yet is bounded: the session is asked for more output only when
// the socket takes it.
#pragma once

#include "extproc/listen/worker.h"

struct connection;

// Takes over `fd` (non-blocking), also when it fails: then it is closed.
MUST_USE enum status connection_open(struct worker *worker, int fd, bool is_tcp);

// To be called every second.
void connection_tick(struct connection *connection, int64_t now_ns);

// Sends what was given to its streams outside its own events. It may be closed by that.
void connection_flush(struct connection *connection);

// Announces the end; the connection closes by itself when its last stream has ended, or now if the
// peer has never begun.
void connection_drain(struct connection *connection);

// Closes it now; its memory goes when the loop has run once more. A second call does nothing.
void connection_close(struct connection *connection);

struct connection *connection_next(const struct connection *connection);
