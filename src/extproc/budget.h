// SPDX-License-Identifier: Apache-2.0
// What all threads together may hold of something: bytes of bodies, streams.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
    /* immutable */
    size_t most;  // 0: no limit
    /* atomic */
    atomic_size_t used;
};

// Only what fits is ever counted, so that a large amount that does not fit is in nobody's way.
static inline bool budget_take_up_to(struct budget *budget, size_t amount, size_t most) {
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    do {
        if (used > most || amount > most - used) return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + amount,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

// False: it would go over the limit, and nothing was taken. Context: any thread.
static inline bool budget_take(struct budget *budget, size_t amount) {
    return budget_take_up_to(budget, amount, budget->most != 0 ? budget->most : SIZE_MAX);
}

// The same, where a refusal would lose something: up to twice the limit. Context: any thread.
static inline bool budget_take_owed(struct budget *budget, size_t amount) {
    bool has_limit = budget->most != 0 && budget->most < SIZE_MAX / 2;
    return budget_take_up_to(budget, amount, has_limit ? 2 * budget->most : SIZE_MAX);
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
