// SPDX-License-Identifier: Apache-2.0
// Memory for one task, given back all at once: a bump allocator over a list of chunks, the first of
// which is the caller's (usually on the stack), so that a small task calls malloc not at all. An
// allocation costs an addition; a request larger than a chunk gets a chunk of its own.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;  // from malloc, newest first
    uint8_t *next;               // the free rest of one chunk, `left` bytes
    size_t left;
    uint8_t *room;
    size_t room_bytes;
    size_t held_bytes;   // in chunks
    size_t limit_bytes;  // of held_bytes
    bool is_exhausted;   // an allocation was refused since the last reset
};

// `room` stays the caller's and must outlive the arena's use (0 bytes are fine); past it at most
// `limit_bytes` are taken from malloc.
void arena_init(struct arena *arena, void *room, size_t room_bytes, size_t limit_bytes);

// Aligned for every type; NULL when malloc fails or the limit would be passed. A size of 0 gives a
// pointer that may be compared but not followed. Lives until the reset.
void *arena_alloc(struct arena *arena, size_t size);

// A copy; its data is NULL when there is no memory.
struct bytes arena_copy(struct arena *arena, struct bytes bytes);

// Grows what arena_alloc gave with `old_size`; the newest allocation and those with a chunk of
// their own do it without leaving a hole. NULL as above, and `old` is untouched then.
void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t size);

// Gives back every allocation and chunk; the arena is then as after arena_init.
void arena_reset(struct arena *arena);
