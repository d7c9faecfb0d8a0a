// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = _Alignof(max_align_t), CHUNK_BYTES = 16 * 1024 };

struct arena_chunk {
    _Alignas(max_align_t) struct arena_chunk *older;
    size_t size;  // without this head
};

static uint8_t *content_of(struct arena_chunk *chunk) {
    return (uint8_t *)(chunk + 1);
}

static size_t round_up(size_t size) {
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void use_room(struct arena *arena) {
    size_t skip = (size_t)(-(uintptr_t)arena->room % ALIGNMENT);
    bool is_useful = skip < arena->room_bytes;
    arena->next = is_useful ? arena->room + skip : NULL;
    arena->left = is_useful ? arena->room_bytes - skip : 0;
}

void arena_init(struct arena *arena, void *room, size_t room_bytes, size_t limit_bytes) {
    *arena = (struct arena){
        .room = room,
        .room_bytes = room_bytes,
        .limit_bytes = limit_bytes,
    };
    use_room(arena);
}

static void *refuse(struct arena *arena) {
    arena->is_exhausted = true;
    return NULL;
}

static bool may_hold(const struct arena *arena, size_t more) {
    return arena->held_bytes <= arena->limit_bytes &&
           more <= arena->limit_bytes - arena->held_bytes;
}

// What is left of the chunk before is given up, unless it is the better one to go on with.
static void *alloc_from_new_chunk(struct arena *arena, size_t size) {
    size_t chunk_bytes = size > CHUNK_BYTES / 4 ? size : CHUNK_BYTES;
    if (!may_hold(arena, chunk_bytes)) chunk_bytes = size;
    if (!may_hold(arena, chunk_bytes)) return refuse(arena);
    struct arena_chunk *chunk = malloc(sizeof(*chunk) + chunk_bytes);
    if (chunk == NULL) return refuse(arena);
    *chunk = (struct arena_chunk){.older = arena->chunks, .size = chunk_bytes};
    arena->chunks = chunk;
    arena->held_bytes += chunk_bytes;
    if (chunk_bytes - size > arena->left) {
        arena->next = content_of(chunk) + size;
        arena->left = chunk_bytes - size;
    }
    return content_of(chunk);
}

void *arena_alloc(struct arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) return refuse(arena);
    size = round_up(size);
    if (size > arena->left || arena->next == NULL) return alloc_from_new_chunk(arena, size);
    uint8_t *start = arena->next;
    arena->next += size;
    arena->left -= size;
    return start;
}

struct bytes arena_copy(struct arena *arena, struct bytes bytes) {
    uint8_t *copy = arena_alloc(arena, bytes.len);
    if (copy == NULL) return BYTES_EMPTY;
    if (bytes.len != 0) memcpy(copy, bytes.data, bytes.len);
    return bytes_of(copy, bytes.len);
}

// The newest chunk, if `old` is all that is in it.
static struct arena_chunk *own_chunk_of(struct arena *arena, const uint8_t *old, size_t old_size) {
    struct arena_chunk *chunk = arena->chunks;
    bool is_own = chunk != NULL && content_of(chunk) == old && chunk->size == old_size;
    return is_own ? chunk : NULL;
}

void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t size) {
    assert(size >= old_size);
    if (size > SIZE_MAX / 2) return refuse(arena);
    size_t old_rounded = round_up(old_size);
    size_t more = round_up(size) - old_rounded;
    bool is_newest = (uint8_t *)old + old_rounded == arena->next;
    if (is_newest && more <= arena->left) {
        arena->next += more;
        arena->left -= more;
        return old;
    }
    struct arena_chunk *chunk = own_chunk_of(arena, old, old_rounded);
    if (chunk != NULL) {
        if (!may_hold(arena, more)) return refuse(arena);
        struct arena_chunk *grown = realloc(chunk, sizeof(*chunk) + old_rounded + more);
        if (grown == NULL) return refuse(arena);
        grown->size = old_rounded + more;
        arena->chunks = grown;
        arena->held_bytes += more;
        return content_of(grown);
    }
    void *start = arena_alloc(arena, size);
    if (start != NULL && old_size != 0) memcpy(start, old, old_size);
    return start;
}

void arena_reset(struct arena *arena) {
    while (arena->chunks != NULL) {
        struct arena_chunk *older = arena->chunks->older;
        free(arena->chunks);
        arena->chunks = older;
    }
    arena->held_bytes = 0;
    arena->is_exhausted = false;
    use_room(arena);
}
