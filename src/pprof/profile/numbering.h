// SPDX-License-Identifier: Apache-2.0
// Gives equal keys equal numbers: 0, 1, 2 … in the order of first appearance. One hash and one
// look-up a call. Keys are copied; not for several threads at once.
#pragma once

#include "base/bytes.h"
#include "pprof/profile/pool.h"

struct numbered_key;

// All-zero is a valid empty numbering.
struct numbering {
    struct pool pool;
    struct numbered_key **slots;  // open addressing; a power of two of them
    struct numbered_key **order;  // by number
    uint32_t slot_count;
    uint32_t count;
};

// STATUS_NO_MEMORY: nothing was added.
MUST_USE enum status numbering_find(struct numbering *numbering, struct bytes key,
                                    uint32_t *ret_number);

// The key of a number below `count`; lives until numbering_done.
struct bytes numbering_key(const struct numbering *numbering, uint32_t number);

void numbering_done(struct numbering *numbering);
