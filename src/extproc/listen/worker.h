// SPDX-License-Identifier: Apache-2.0
// A loop in a thread of its own, and the connections that were handed to it.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <uv.h>

#include "base/bytes.h"
#include "extproc/genai.h"
#include "extproc/grpc/method.h"
#include "extproc/http2/session.h"
#include "extproc/metrics.h"

struct connection;
struct handover;

enum { WORKERS_MOST = 256, WORKER_INPUT_BYTES = 256 << 10 };

struct worker {
    /* immutable once started */
    size_t index;
    pthread_t thread;
    clockid_t cpu_clock;  // of the thread; it may be read when the thread is gone, too
    struct http2_options http2;
    // A connection has closed, or worker_ask was answered. Context: loop thread.
    void (*on_news)(void *context);
    void *context;

    /* loop thread only, once started */
    struct grpc_server grpc;
    int phase;  // that the calls were told of
    uv_loop_t loop;
    uv_timer_t tick;
    struct connection *connections;
    uint8_t *input;        // where every connection reads into, one after the other
    struct buffer output;  // where every connection's frames are put together

    /* any thread */
    uv_async_t wake;
    struct metrics metrics;  // written by the loop thread, as is
    struct genai genai;
    struct stream_list streams;
    atomic_size_t connection_count;
    atomic_bool wants_drain;
    atomic_bool wants_stop;
    atomic_uint asked, answered;

    /* guarded by lock */
    pthread_mutex_t lock;
    struct handover *first, **last;  // connections that wait to be taken
};

// Starts the thread. The caller has filled the immutable fields but `thread`, `genai.catalogue`,
// and `grpc` but for what is the worker's own. On failure nothing is left running. Context:
// start-up.
MUST_USE enum status worker_start(struct worker *worker);

// Hands over an accepted socket, also when it fails: then it is closed. Context: one thread.
MUST_USE enum status worker_take(struct worker *worker, int fd, bool is_tcp);

// For connection.c: one of the worker's connections is gone.
void worker_forget(struct worker *worker);

// How many connections it has, those on their way to it included. Context: any thread.
size_t worker_connections(const struct worker *worker);

// The server's phase may have changed: tells the calls that watch it. Context: any thread.
void worker_wake(struct worker *worker);

// Begins to drain all connections, and those that are handed over later. Context: any thread.
void worker_drain(struct worker *worker);

// Asks the loop for a sign of life; when it has given one, on_news is called and
// worker_has_answered is true. Context: any thread.
void worker_ask(struct worker *worker);
bool worker_has_answered(const struct worker *worker);

// Ends the loop with all its connections and waits for the thread. Context: one thread, once.
void worker_stop(struct worker *worker);
