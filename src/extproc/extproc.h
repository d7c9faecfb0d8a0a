// SPDX-License-Identifier: Apache-2.0
// The external processor as main.c sees it: gRPC listeners, worker loops and the admin server, from
// start to drained.
//
//     extproc_start ─► serving ─► extproc_drain ─► (drain delay) ─► (streams finish) ─► finished
//                         └──────── extproc_stop ends it now, from any of these ────────────┘
//
// It handles no signal and never exits the process. Threads: one that accepts and steers,
// `worker_count` loops, and a short-lived one for each admin connection. Threads inherit the
// caller's signal mask: block SIGTERM and SIGINT first.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "extproc/observer.h"

enum {
    EXTPROC_MESSAGE_BYTES = 512,
    EXTPROC_WORKERS_MOST = 256,
};

// A stream in flight, as extproc_visit_streams shows it.
struct extproc_stream {
    const char *state;  // what it waits for; static text
    uint32_t label;     // the observer's number for what it is about; 0: not known yet
    int64_t age_ns;
};

// The caller's texts and the callback live until extproc_free.
struct extproc_options {
    // Comma-separated: `:1063` (every address, IPv6 and IPv4), `127.0.0.1:0`, `[::1]:1063`,
    // `localhost:1063` (127.0.0.1 and ::1), `unix:///path`, `unix:///path?mode=0666` (default
    // 0660). No name but localhost is looked up. Port 0: the kernel chooses.
    const char *listen;
    // The same for /health and /metrics; empty: no admin server.
    const char *admin_address;
    // What GET /v1/models is answered with: names with commas between them, or the path of a file
    // (it begins with `/` or `.`) that is read again when it changes. Empty: such a request passes.
    const char *models;
    // Loops that serve connections; 0: as many as the CPUs that affinity and cgroup quota allow,
    // rounded up.
    int64_t worker_count;
    // The largest HTTP body that is looked at. A gRPC message may be this and 1 MiB (headers,
    // framing) long; one that is longer ends its stream with RESOURCE_EXHAUSTED before it is read.
    int64_t body_limit_bytes;
    // Not 0: a streaming request that does not ask for its usage is made to.
    int64_t includes_usage;
    // All partly received messages together, and the bodies that are held until the model is known;
    // past it new requests get a 503, and replies go by unread. 0: a quarter of what the cgroup
    // allows beyond 8 MiB, or 1 GiB where it sets no limit.
    int64_t total_body_limit_bytes;
    // Accepted connections at once; past it a new one is closed at once and counted.
    int64_t connections_most;
    // SETTINGS_MAX_CONCURRENT_STREAMS, per connection. Below 1024 Envoy turns bursts into errors.
    int64_t streams_most;
    // Calls of Process on all connections at once; past it the newest request gets a 503. 0: no
    // limit.
    int64_t total_streams_most;
    // From extproc_drain on, new requests are still taken for `drain_delay_ns`; after it, streams
    // in flight have `drain_deadline_ns` to finish.
    int64_t drain_delay_ns;
    int64_t drain_deadline_ns;
    // Appends more lines to /metrics (whole lines, Prometheus text 0.0.4); may be NULL. Context:
    // any thread.
    void (*write_metrics)(struct buffer *text, void *context);
    void *write_metrics_context;
    // Who is told what a thread works on; NULL: nobody. Lives until extproc_free.
    const struct observer *observer;
};

// What main.c's settings table should use where the user says nothing.
#define EXTPROC_OPTIONS_DEFAULT                                                                    \
    ((struct extproc_options){.listen = ":1063",                                                   \
                              .admin_address = ":1064",                                            \
                              .models = "",                                                        \
                              .body_limit_bytes = 50 << 20,                                        \
                              .includes_usage = 1,                                                 \
                              .total_body_limit_bytes = 0,                                         \
                              .connections_most = 4096,                                            \
                              .streams_most = 4096,                                                \
                              .total_streams_most = 16384,                                         \
                              .drain_delay_ns = 5000000000,                                        \
                              .drain_deadline_ns = 30000000000})

struct extproc;

// Binds every address, starts the threads and logs one "listening" line an address. All or nothing:
// on failure nothing is left bound or running and `ret_message` holds one line that names the
// setting, its value and the reason. STATUS_MALFORMED: an address is no address; STATUS_BUSY: it is
// taken by another process; STATUS_SYSTEM; STATUS_NO_MEMORY. Ranges are the settings table's to
// check. Context: start-up.
MUST_USE enum status extproc_start(const struct extproc_options *options,
                                   struct extproc **ret_extproc,
                                   char ret_message[EXTPROC_MESSAGE_BYTES]);

// The bound gRPC addresses, in the order given, with the real port: "[::]:1063", "127.0.0.1:41235",
// "unix:///run/extproc.sock"; NULL past the last. They live until extproc_free. Context: any
// thread.
const char *extproc_address(const struct extproc *extproc, size_t index);

// The same for the admin addresses.
const char *extproc_admin_address(const struct extproc *extproc, size_t index);

// Calls `visit` for each stream in flight. It must be quick: the worker waits for it if one of its
// streams comes or goes. Context: any thread.
void extproc_visit_streams(struct extproc *extproc,
                           void (*visit)(const struct extproc_stream *stream, void *context),
                           void *context);

// Begins to drain; returns at once. A second call does nothing. Context: any thread.
void extproc_drain(struct extproc *extproc);

// Ends now: streams in flight are cut. Returns at once. Context: any thread.
void extproc_stop(struct extproc *extproc);

// A file descriptor that becomes readable (poll it, don't read it) when the workers have ended
// after extproc_drain or extproc_stop. So main.c polls two things: its signalfd and this. It is
// closed by extproc_free. Context: any thread.
int extproc_finished_fd(const struct extproc *extproc);

// Stops if it still runs, waits for the threads, closes the admin server, removes own Unix sockets,
// frees. Accepts NULL. Context: the thread that called extproc_start, once.
void extproc_free(struct extproc *extproc);
