// SPDX-License-Identifier: Apache-2.0
// Memory for profiles: chunks straight from mmap, handed out front to back, given back all at once.
// The profiler does not take its memory from the allocator that it reports on: the heap profile
// stays free of it, and nothing here can meet the allocator's locks.
// Allocating costs a bump; not safe for several threads at once.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"

struct pool_chunk;

struct pool {
    struct pool_chunk *chunks;  // newest first; NULL is an empty pool
    size_t used, size;          // of the newest chunk
    size_t total_bytes;         // mapped so far
    size_t limit_bytes;         // 0: none of its own
    bool is_lasting;            // outlives a reader: must not use up what is kept for them
};

// Zeroed memory for `size` bytes, aligned to 16; NULL at the limit or without memory, also that of
// the container (reserve.h). Lives until pool_done.
void *pool_allocate(struct pool *pool, size_t size);

// The characters and a NUL behind them; NULL as above.
char *pool_copy_text(struct pool *pool, const char *text, size_t len);

// Unmaps everything; the pool is then empty and usable again.
void pool_done(struct pool *pool);
