// SPDX-License-Identifier: Apache-2.0
// The workers and the one thread that accepts for them and steers the end:
//
//     SERVING ─► AWAIT_DELAY ─► AWAIT_STREAMS ─► FINISHED
//
// It accepts itself and hands each connection to the worker that has fewest, because the kernel's
// choice (SO_REUSEPORT) is by hash: an Envoy has few connections, and two busy ones on one loop
// while another idles is what must not happen.
#pragma once

#include "extproc/grpc/method.h"
#include "extproc/listen/address.h"
#include "extproc/metrics.h"

struct service;

struct service_options {
    size_t worker_count;
    size_t connections_most;
    uint32_t streams_most;
    int64_t drain_delay_ns;
    int64_t drain_deadline_ns;
    void (*every_second)(void *context);  // on the thread that accepts; NULL: nothing is due
    void *context;
    const struct process_options *process;  // borrowed until service_free
    struct budget *budget;                  // the same
    struct budget *streams_budget;          // the same
};

// Takes over the sockets, also when it fails: then they are closed. Context: start-up.
MUST_USE enum status service_start(const struct service_options *options,
                                   const struct listen_socket *sockets, size_t socket_count,
                                   struct service **ret_service);

// See extproc_drain, extproc_stop and extproc_finished_fd. Context: any thread.
void service_drain(struct service *service);
void service_stop(struct service *service);
int service_finished_fd(const struct service *service);

// True from service_drain or service_stop on. Context: any thread.
bool service_is_draining(const struct service *service);

// How many connections were closed at once because of connections_most. Context: any thread.
uint64_t service_refused_count(const struct service *service);

// Whether every loop gives a sign of life before `deadline_ns` of the monotonic clock.
// Context: any thread; blocks.
bool service_is_alive(struct service *service, int64_t deadline_ns);

// See extproc_visit_streams.
void service_visit_streams(struct service *service,
                           void (*visit)(const struct stream_entry *entry, void *context),
                           void *context);

// Appends the metrics of all threads. Context: any thread.
MUST_USE enum status service_write_metrics(struct service *service, struct buffer *text);

// Stops if it still runs, waits for the threads, removes own Unix sockets. Accepts NULL.
// Context: the thread that started it, once.
void service_free(struct service *service);
