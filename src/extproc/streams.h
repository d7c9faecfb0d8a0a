// SPDX-License-Identifier: Apache-2.0
// The streams in flight of one worker, for whoever asks from another thread what they wait for.
// Joining and leaving take a lock that nobody contends for; a change of state is a store.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

// Part of whatever a stream is.
struct stream_entry {
    /* immutable while listed */
    int64_t start_ns;
    /* atomic */
    _Atomic(const char *) state;  // static text: what is waited for
    atomic_uint label;            // of observer.h
    /* guarded by the list's lock */
    struct stream_entry *next, *previous;
};

struct stream_list {
    pthread_mutex_t lock;
    struct stream_entry *first;
};

#define STREAM_LIST_INIT                                                                           \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

// Context: the thread that owns the stream.
void stream_list_join(struct stream_list *list, struct stream_entry *entry, const char *state,
                      int64_t now_ns);
void stream_list_leave(struct stream_list *list, struct stream_entry *entry);

// Calls `visit` for each stream; none can leave meanwhile, so it must be quick. Context: any
// thread.
void stream_list_visit(struct stream_list *list,
                       void (*visit)(const struct stream_entry *entry, void *context),
                       void *context);
