// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/pool.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "pprof/profile/reserve.h"

enum { ALIGNMENT = 16, CHUNK_BYTES = 64 << 10, LARGEST_CHUNK_BYTES = 1 << 20 };

struct pool_chunk {
    struct pool_chunk *next;
    size_t size;
};

static size_t round_up(size_t size, size_t step) {
    return (size + step - 1) & ~(step - 1);
}

// A reader's is charged now, together with asking for room.
static void *map(const struct pool *pool, size_t size) {
    if (!pool->is_lasting) return reserve_map(size);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

// Chunks double, so that a large profile costs few mappings and a small one little memory.
static bool add_chunk(struct pool *pool, size_t wanted) {
    size_t size = pool->size == 0 ? CHUNK_BYTES : pool->size * 2;
    if (size > LARGEST_CHUNK_BYTES) size = LARGEST_CHUNK_BYTES;
    size_t least = round_up(wanted + round_up(sizeof(struct pool_chunk), ALIGNMENT), CHUNK_BYTES);
    if (size < least) size = least;
    if (pool->limit_bytes != 0 && pool->total_bytes + size > pool->limit_bytes) return false;
    struct pool_chunk *chunk = map(pool, size);
    if (chunk == NULL && size > least) {
        size = least;
        chunk = map(pool, size);
    }
    if (chunk == NULL) return false;
    *chunk = (struct pool_chunk){.next = pool->chunks, .size = size};
    pool->chunks = chunk;
    pool->used = round_up(sizeof *chunk, ALIGNMENT);
    pool->size = size;
    pool->total_bytes += size;
    return true;
}

void *pool_allocate(struct pool *pool, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size = round_up(size, ALIGNMENT);
    if (pool->size - pool->used < size && !add_chunk(pool, size)) return NULL;
    void *memory = (char *)pool->chunks + pool->used;
    pool->used += size;
    return memory;
}

char *pool_copy_text(struct pool *pool, const char *text, size_t len) {
    char *copy = pool_allocate(pool, len + 1);
    if (copy != NULL) memcpy(copy, text, len);
    return copy;
}

void pool_done(struct pool *pool) {
    while (pool->chunks != NULL) {
        struct pool_chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        munmap(chunk, chunk->size);
    }
    *pool = (struct pool){.limit_bytes = pool->limit_bytes, .is_lasting = pool->is_lasting};
}
