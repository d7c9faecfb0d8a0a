// SPDX-License-Identifier: Apache-2.0
// What all threads together may hold of something: bytes of bodies, streams.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    /* immutable */
    size_t most;  // 0: no limit
    /* atomic */
    atomic_size_t used;
};

// False: it would go over the limit, and nothing was taken. Context: any thread.
static inline bool budget_take(struct budget *budget, size_t amount) {
    size_t used = atomic_fetch_add_explicit(&budget->used, amount, memory_order_relaxed);
    if (budget->most == 0) return true;
    if (used <= budget->most && amount <= budget->most - used) return true;
    atomic_fetch_sub_explicit(&budget->used, amount, memory_order_relaxed);
    return false;
}

// Takes what is there already, also past the limit: it keeps others out until it is given back.
// Context: any thread.
static inline void budget_charge(struct budget *budget, size_t amount) {
    atomic_fetch_add_explicit(&budget->used, amount, memory_order_relaxed);
}

// Context: any thread.
static inline void budget_give(struct budget *budget, size_t amount) {
    atomic_fetch_sub_explicit(&budget->used, amount, memory_order_relaxed);
}
