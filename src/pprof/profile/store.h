// SPDX-License-Identifier: Apache-2.0
// Merged samples: equal stacks with equal labels are one sample whose values add up.
// Adding is one hash and one look-up, O(depth). The caller locks.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "pprof/profile/pool.h"

enum {
    STACK_DEPTH = 128,       // frames kept, leaf first; the rest towards the root is cut
    THREAD_NAME_BYTES = 16,  // the kernel's TASK_COMM_LEN, NUL included
    SAMPLE_VALUES = 4,
};

// What makes two samples the same: everything here.
struct sample_key {
    // Leaf first. Every address lies inside the call it stands for: the leaf's is the interrupted
    // instruction, the others' are return address - 1, as profile.proto wants them.
    const uintptr_t *addresses;
    uint32_t depth;
    uint32_t labels;                 // a label set; 0: none
    uint64_t size_bytes;             // of an allocation, label `bytes`; 0: not one
    bool has_names;                  // the addresses are those of static texts: names of frames
    const char *state;               // label `state`; static text; NULL: none
    char thread[THREAD_NAME_BYTES];  // label `thread`; zero-filled, "" for none
};

struct sample {
    struct sample_key key;
    int64_t values[SAMPLE_VALUES];
    uint64_t hash;
    struct sample *next;  // in the order of first appearance
};

// All-zero is a valid empty store.
struct store {
    struct pool pool;
    struct sample **slots;  // open addressing; a power of two of them
    uint32_t slot_count;
    uint32_t sample_count;
    struct sample *first, *last;
};

// Finds or makes the sample of `key`; its address stays the same until store_done. NULL without
// memory. The key's addresses are copied.
struct sample *store_find(struct store *store, const struct sample_key *key);

// Adds to the sample's values. STATUS_NO_MEMORY: nothing was added.
MUST_USE enum status store_add(struct store *store, const struct sample_key *key,
                               const int64_t values[SAMPLE_VALUES]);

void store_done(struct store *store);
