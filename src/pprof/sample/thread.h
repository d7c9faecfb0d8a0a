// SPDX-License-Identifier: Apache-2.0
// The threads that can be sampled: the one that calls thread_enter_main, and every one that
// pthread_create (wrapped by the linker, see ../wrapped) starts after it. A thread leaves the list
// before its stack can go, also on pthread_exit and cancellation.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/status.h"

// Why a thread does not run, in the words of Go's dumps where it has them. Static text.
typedef const char *thread_state;

struct thread {
    /* immutable while listed */
    pid_t tid;
    pid_t creator_tid;     // 0: none, the first thread
    uintptr_t created_at;  // the call of pthread_create; 0: the first thread
    uintptr_t stack_high;  // behind the last word that a frame record can lie in
    /* written by the thread itself, read by who dumps: see thread_park */
    atomic_uint park_sequence;  // odd: parked
    atomic_uintptr_t park_frame, park_leaf;
    _Atomic(thread_state) park_state;
    atomic_int_fast64_t park_since_ns;
    /* written in the thread's signal handlers, read by itself */
    volatile unsigned interruptions;
    /* atomic */
    _Atomic(struct tick_request *) request;  // of a dump; NULL: none
    /* guarded by the list's lock */
    struct thread *next, *previous;
    timer_t timer;
    bool has_timer;
};

// The calling thread's entry; NULL while it is not listed. Read by the signal handler.
extern _Thread_local struct thread *thread_self;

// The label set of what the thread works on; 0: none. Read by the signal handler. Works for threads
// that are not listed, too.
extern _Thread_local uint32_t thread_labels;

// How often our signals have interrupted the calling thread: a call that failed with EINTR while
// this changed failed because of them. Context: any thread.
static inline unsigned thread_interruptions(void) {
    return thread_self != NULL ? thread_self->interruptions : 0;
}

// True if DISABLE_PPROF is in the environment, with whatever value. Asked once, at the first call.
bool thread_is_disabled(void);

// Lists the calling thread, which must be the process's first. Does nothing the second time.
MUST_USE enum status thread_enter_main(void);

// Calls `visit` for each listed thread, and until the next call with NULL for each one that enters
// later, in that thread. NULL ends it: `leave` is then called for each listed thread. `leave` is
// also called for a thread that leaves. Both are called under the list's lock, and only from here.
void thread_watch(void (*visit)(struct thread *), void (*leave)(struct thread *));

// How many are listed.
size_t thread_count(void);

// The listed threads, from the first on by `next`; until thread_unlock_list none can leave or
// enter. Context: any thread; call nothing else here in between.
struct thread *thread_lock_list(void);
void thread_unlock_list(void);

// A thread that is about to block leaves word where its stack is, so that a dump can walk it from
// outside, without a signal: `frame` is a frame record that stays until thread_unpark, `leaf` what
// to show above its caller, usually the function that blocks. The sequence number is odd in
// between: who reads the same odd number before and after has a consistent stack. Nested parks
// count as one. Returns whether it parked; hand that to thread_unpark.
bool thread_park(thread_state state, const void *frame, uintptr_t leaf);
void thread_unpark(bool is_parked);
