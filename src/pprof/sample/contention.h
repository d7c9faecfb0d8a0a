// SPDX-License-Identifier: Apache-2.0
// Who waits, and for whom: the block profile (time by the stack that waited) and the mutex profile
// (the same time by the stack that gave the lock back, which is where to look for the cure).
//
// A thread that must wait for a lock puts itself on a list, hashed by the lock's address. Whoever
// gives a lock back looks there: one load when nobody waits. If somebody does, the time since they
// began, or since the last one gave that lock back, is what this holder cost them.
//
// Short waits are many: one of less than the block rate is counted with the probability
// duration/rate and then stands for rate nanoseconds, as Go does, so sums stay true.
#pragma once

#include <stdbool.h>

#include "pprof/profile/source.h"

extern const struct source block_source, mutex_source;

// Waits shorter than `block_rate_ns` are sampled; 0: no block profile. One of `mutex_fraction`
// contentions is recorded and counted as many; 0: no mutex profile. Context: start-up.
void contention_init(int64_t block_rate_ns, int64_t mutex_fraction);

int64_t contention_block_rate_ns(void);
int64_t contention_mutex_fraction(void);

// Waits and contentions that no memory was had for, since the start. Context: any thread.
uint64_t contention_refused_count(void);

// A wait, on the waiter's stack from begin to end.
struct contention {
    const void *lock;  // whose holder pays; NULL: there is none
    int64_t start_ns, charged_ns;
    struct contention *next;
    bool is_listed, is_parked;
};

// The calling thread is about to wait in `state` (static text) for `lock` (NULL: not a lock).
// `frame` is the frame record of the wrapper, `leaf` the function that will block. Nested waits
// count once. Context: any thread.
void contention_begin(struct contention *wait, const char *state, const void *lock,
                      const void *frame, uintptr_t leaf);
void contention_end(struct contention *wait, const void *frame, uintptr_t leaf);

// The lock is about to be given back. Cheap when nobody waits for it.
void contention_release_slowly(const void *lock, const void *frame, uintptr_t leaf);
bool contention_is_waited_for(const void *lock);
