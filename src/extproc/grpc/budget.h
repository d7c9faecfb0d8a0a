// SPDX-License-Identifier: Apache-2.0
// How much memory all partly received messages may hold together. Shared by all threads.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    /* immutable */
    size_t most_bytes;  // 0: no limit
    /* atomic */
    atomic_size_t used_bytes;
};

// False: it would go over the limit, and nothing was taken. Context: any thread.
static inline bool budget_take(struct budget *budget, size_t bytes) {
    size_t used = atomic_fetch_add_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    if (budget->most_bytes == 0) return true;
    if (used <= budget->most_bytes && bytes <= budget->most_bytes - used) return true;
    atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    return false;
}

// Context: any thread.
static inline void budget_give(struct budget *budget, size_t bytes) {
    atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}
