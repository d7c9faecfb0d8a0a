// SPDX-License-Identifier: Apache-2.0
// Ticks on their way from signal handlers to the thread that merges them: a bounded queue with many
// writers and one reader at a time, after D. Vyukov's bounded MPMC queue.
//
// Each slot has a turn number. A writer may fill slot `position` when the turn equals position; the
// reader may take it when the turn is position + 1, and hands it to the next round by setting
// position + RING_SLOTS. A writer claims a position by one compare-and-swap and never waits: a full
// ring loses the tick, which is counted. A handler cannot interrupt itself (its signal is blocked
// while it runs), and a writer that is preempted between claim and release only holds back the
// reader, never another writer.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pprof/profile/store.h"
#include "pprof/stack/leaf.h"

enum { RING_SLOTS = 1024 };  // a power of two: five seconds of two busy processors at 100 Hz

struct tick {
    uint32_t weight;  // periods it stands for: 1 + the timer's overruns
    uint32_t depth;
    uint32_t labels;
    bool is_complete;
    char thread[THREAD_NAME_BYTES];
    uintptr_t words[LEAF_WORDS];       // where the leaf's caller may be
    uintptr_t addresses[STACK_DEPTH];  // the interrupted instruction, then return addresses
};

struct ring_slot {
    atomic_size_t turn;
    struct tick tick;
};

struct ring {
    /* atomic */
    atomic_size_t write_position;
    /* guarded by the reader's lock */
    size_t read_position;
    /* see above */
    struct ring_slot slots[RING_SLOTS];
};

static inline void ring_init(struct ring *ring) {
    atomic_init(&ring->write_position, 0);
    ring->read_position = 0;
    for (size_t i = 0; i < RING_SLOTS; i++) atomic_init(&ring->slots[i].turn, i);
}

// Claims a slot to fill; NULL: the ring is full. Then ring_release, or the reader stops there.
// Context: any thread, signal.
static inline struct ring_slot *ring_claim(struct ring *ring) {
    size_t position = atomic_load_explicit(&ring->write_position, memory_order_relaxed);
    for (;;) {
        struct ring_slot *slot = &ring->slots[position % RING_SLOTS];
        // pairs with the release in ring_take's caller, ring_return
        size_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn == position) {
            if (atomic_compare_exchange_weak_explicit(&ring->write_position, &position,
                                                      position + 1, memory_order_relaxed,
                                                      memory_order_relaxed)) {
                return slot;
            }
            continue;
        }
        if ((ptrdiff_t)(turn - position) < 0) return NULL;  // still holds the round before
        position = atomic_load_explicit(&ring->write_position, memory_order_relaxed);
    }
}

// Hands a filled slot to the reader. Context: any thread, signal.
static inline void ring_release(struct ring_slot *slot) {
    size_t position = atomic_load_explicit(&slot->turn, memory_order_relaxed);
    // pairs with the acquire in ring_take
    atomic_store_explicit(&slot->turn, position + 1, memory_order_release);
}

// The oldest filled slot, or NULL. Context: one thread at a time, not signal.
static inline struct ring_slot *ring_take(struct ring *ring) {
    struct ring_slot *slot = &ring->slots[ring->read_position % RING_SLOTS];
    // pairs with the release in ring_release
    size_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
    return turn == ring->read_position + 1 ? slot : NULL;
}

// Gives the slot that ring_take handed out back to the writers. Context: as ring_take.
static inline void ring_return(struct ring *ring, struct ring_slot *slot) {
    // pairs with the acquire in ring_claim
    atomic_store_explicit(&slot->turn, ring->read_position + RING_SLOTS, memory_order_release);
    ring->read_position++;
}
