// SPDX-License-Identifier: Apache-2.0
// What the sources of counted events have in common: taking one's own stack, and a store that many
// threads add to and a reader copies.
#pragma once

#include <pthread.h>

#include "pprof/profile/store.h"

// The calling thread's stack from the frame record `frame` on, as a key wants it: `leaf` first (an
// address inside the function to show there; 0: none), then the callers. Returns the depth. A
// thread that is not listed has only the leaf. Context: any thread.
uint32_t stack_capture(const void *frame, uintptr_t leaf, uintptr_t addresses[STACK_DEPTH]);

// Distinct stacks up to a limit of bytes; what does not fit is counted.
struct shared_store {
    pthread_mutex_t lock;
    /* guarded by lock; the samples' values are atomic */
    struct store store;
    uint64_t refused_count;
};

#define SHARED_STORE_INIT(bytes)                                                                   \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .store = {                                              \
            .pool = {.limit_bytes = (bytes), .is_lasting = true}                                   \
        }                                                                                          \
    }

// Finds or makes the sample; NULL, counted, if there is no room. It lives for ever, and its values
// are atomic: add with shared_sample_add.
struct sample *shared_store_find(struct shared_store *shared, const struct sample_key *key);

static inline void shared_sample_add(struct sample *sample, int place, int64_t amount) {
    __atomic_fetch_add(&sample->values[place], amount, __ATOMIC_RELAXED);
}

static inline int64_t shared_sample_read(const struct sample *sample, int place) {
    return __atomic_load_n(&sample->values[place], __ATOMIC_RELAXED);
}

// Adds to the first two values.
void shared_store_add(struct shared_store *shared, const struct sample_key *key, int64_t first,
                      int64_t second);

// The samples that are there now: a list that only grows at its end, so that it can be read without
// the lock. Returns how many from `*ret_first` on.
uint32_t shared_store_list(struct shared_store *shared, const struct sample **ret_first);

// Adds all to `out`. STATUS_NO_MEMORY.
MUST_USE enum status shared_store_copy(struct shared_store *shared, struct store *out);

uint64_t shared_store_refused(struct shared_store *shared);
