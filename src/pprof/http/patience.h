// SPDX-License-Identifier: Apache-2.0
// How long a connection may take for its next step, and how many there may be. The HTTP library
// only closes connections that are silent; one that drips a byte now and then would keep its place
// for ever.
//
// One thread waits for the nearest deadline and shuts that connection down; it sleeps while there
// is none. Where a newcomer finds all places taken, the one whose request has been unfinished for
// the longest makes room: so a crowd that sends nothing keeps nobody out.
#pragma once

#include <sys/socket.h>

#include "base/status.h"

enum {
    PATIENCE_CONNECTIONS_MOST = 64,  // on all addresses together
    PATIENCE_PER_PEER_MOST = 32,  // of one address that is not loopback: there, port-forward makes
                                  // everyone one
};

// What a connection is waited for.
enum patience_phase {
    PATIENCE_REQUEST,  // 5 s from the first byte of a connection to the last of a request
    PATIENCE_IDLE,     // 15 s to the request line of the next request
    PATIENCE_WORK,     // for us: for ever
    PATIENCE_ANSWER,   // 5 minutes to take what was made for it, if no pause is as long as
                       // server.c's IDLE_SECONDS
};

struct patience;

// Starts and ends the thread. Context: start-up; nobody else may be inside.
MUST_USE enum status patience_start(void);
void patience_stop(void);

// Watches a connection's socket from now on, in PATIENCE_REQUEST; shuts down another one, or this
// one, if there are too many. NULL without memory, which is no reason to refuse it. Every following
// call accepts that NULL. Context: any thread.
struct patience *patience_new(int socket, const struct sockaddr *peer);

// The next step. A request that begins before its connection's first deadline gets no more time.
// Context: any thread.
void patience_set(struct patience *patience, enum patience_phase phase);

// Before the socket is closed.
void patience_free(struct patience *patience);
