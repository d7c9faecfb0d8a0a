// SPDX-License-Identifier: Apache-2.0
// The tick: what happens in signal context, and nothing else. tick.c is the only file of the
// library whose code runs in a signal handler; its undefined symbols are checked against a list.
#pragma once

#include <signal.h>
#include <stdatomic.h>

#include "pprof/sample/ring.h"

enum { TICK_SIGNAL = SIGPROF };

// For dumps: real-time, so that it is queued and never merged with another's. musl keeps the first
// three to itself and SIGRTMIN lies above them.
#define TICK_DUMP_SIGNAL (SIGRTMIN + 6)

// Where ticks go; NULL: nowhere, they are ignored.
extern _Atomic(struct ring *) tick_ring;
// Handlers at work now. Who takes the ring away waits for zero before unmapping it.
extern atomic_uint tick_in_flight;
// Since the start of the process, in periods: recorded, and lost because the ring was full.
extern atomic_ullong tick_recorded, tick_dropped;

// What a dump asks of a thread that runs: where are you?
struct tick_request {
    struct tick tick;
    atomic_bool is_done;
};

// The handler of the dump's signal, likewise: answers thread_self->request.
void tick_handle_dump(int signal, siginfo_t *info, void *context);

// The handler, for sigaction with SA_SIGINFO | SA_RESTART. Takes no lock, allocates nothing, saves
// errno; one system call (the thread's name). Context: signal.
void tick_handle(int signal, siginfo_t *info, void *context);
