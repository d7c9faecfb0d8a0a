// SPDX-License-Identifier: Apache-2.0
#include "base/arena.c"

enum { NO_LIMIT = 1 << 30 };

static bool is_aligned(const void *memory) {
    return (uintptr_t)memory % ALIGNMENT == 0;
}

static bool is_within(const void *memory, const uint8_t *room, size_t room_bytes) {
    return (const uint8_t *)memory >= room && (const uint8_t *)memory < room + room_bytes;
}

// Would catch: a first allocation as unaligned as the caller's array.
static void test_arena__aligns_in_a_room_that_is_not_aligned(void **state) {
    (void)state;
    uint8_t room[256];
    for (size_t shift = 0; shift < ALIGNMENT; shift++) {
        struct arena arena;
        arena_init(&arena, room + shift, sizeof(room) - shift, NO_LIMIT);
        for (size_t size = 0; size < 40; size += 3) {
            uint8_t *memory = arena_alloc(&arena, size);
            assert_non_null(memory);
            assert_true(is_aligned(memory));
            memset(memory, 0xee, size);
        }
        arena_reset(&arena);
    }
}

static void test_arena__small_tasks_stay_in_the_room(void **state) {
    (void)state;
    uint8_t room[1024];
    struct arena arena;
    arena_init(&arena, room, sizeof(room), 0);
    for (int i = 0; i < 10; i++) {
        assert_true(is_within(arena_alloc(&arena, 90), room, sizeof(room)));
    }
    assert_int_equal(arena.held_bytes, 0);
    assert_null(arena_alloc(&arena, sizeof(room)));
    assert_true(arena.is_exhausted);
    arena_reset(&arena);
    assert_false(arena.is_exhausted);
    assert_true(is_within(arena_alloc(&arena, 1), room, sizeof(room)));
}

static void test_arena__works_without_a_room(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0, NO_LIMIT);
    assert_non_null(arena_alloc(&arena, 0));
    assert_non_null(arena_alloc(&arena, 1));
    assert_non_null(arena_alloc(&arena, 1000000));
    arena_reset(&arena);
    assert_int_equal(arena.held_bytes, 0);
}

static void test_arena__a_size_near_the_largest_is_refused(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0, SIZE_MAX);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX / 2 + 1));
    void *memory = arena_alloc(&arena, 1);
    assert_null(arena_grow(&arena, memory, 1, SIZE_MAX));
    arena_reset(&arena);
}

static void test_arena__the_limit_is_never_passed(void **state) {
    (void)state;
    for (size_t limit = 0; limit < 3 * CHUNK_BYTES; limit += 997) {
        struct arena arena;
        arena_init(&arena, NULL, 0, limit);
        size_t got = 0;
        while (arena_alloc(&arena, 500) != NULL) got += 512;
        assert_true(arena.held_bytes <= limit);
        assert_true(arena.is_exhausted);
        assert_true(got <= limit);
        // The last bytes are used too: no whole chunk is asked for where a part would do.
        assert_true(limit - got < 512 + CHUNK_BYTES % 512 + 1);
        arena_reset(&arena);
    }
}

static void test_arena__grows_the_newest_in_place(void **state) {
    (void)state;
    uint8_t room[512];
    struct arena arena;
    arena_init(&arena, room, sizeof(room), NO_LIMIT);
    uint8_t *memory = arena_alloc(&arena, 10);
    memcpy(memory, "0123456789", 10);
    assert_ptr_equal(arena_grow(&arena, memory, 10, 300), memory);
    assert_memory_equal(memory, "0123456789", 10);
    uint8_t *other = arena_alloc(&arena, 16);
    assert_true(other >= memory + 300);
    uint8_t *moved = arena_grow(&arena, memory, 300, 301);
    assert_ptr_not_equal(moved, memory);
    assert_memory_equal(moved, "0123456789", 10);
    arena_reset(&arena);
}

// Would catch: a grown array that leaves all its former selves behind.
static void test_arena__a_large_array_grows_without_holes(void **state) {
    (void)state;
    uint8_t room[64];
    struct arena arena;
    size_t size = CHUNK_BYTES;
    arena_init(&arena, room, sizeof(room), 40 * CHUNK_BYTES);
    uint8_t *memory = arena_alloc(&arena, size);
    memset(memory, 'x', size);
    while (size < 30 * CHUNK_BYTES) {
        memory = arena_grow(&arena, memory, size, size + size / 2);
        assert_non_null(memory);
        assert_int_equal(memory[size - 1], 'x');
        size += size / 2;
        memset(memory, 'x', size);
    }
    assert_int_equal(arena.held_bytes, round_up(size));
    assert_null(arena_grow(&arena, memory, size, 41 * CHUNK_BYTES));
    assert_int_equal(memory[size - 1], 'x');
    arena_reset(&arena);
}

enum { PIECES = 400 };

// Would catch: two allocations that share a byte, whatever the order of sizes and growths.
static void test_arena__allocations_never_overlap(void **state) {
    (void)state;
    uint8_t room[2000];
    uint8_t *pieces[PIECES];
    size_t sizes[PIECES];
    uint32_t random = 1;
    struct arena arena;
    arena_init(&arena, room, sizeof(room), NO_LIMIT);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < PIECES; i++) {
            random = random * 1664525 + 1013904223;
            sizes[i] = (random >> 16) % (i % 50 == 0 ? 20000 : 200);
            pieces[i] = arena_alloc(&arena, sizes[i]);
            assert_non_null(pieces[i]);
            memset(pieces[i], i & 0xff, sizes[i]);
            int grown = (int)((random >> 8) % (uint32_t)(i + 1));
            size_t size = sizes[grown] + random % 100;
            pieces[grown] = arena_grow(&arena, pieces[grown], sizes[grown], size);
            assert_non_null(pieces[grown]);
            memset(pieces[grown] + sizes[grown], grown & 0xff, size - sizes[grown]);
            sizes[grown] = size;
        }
        for (int i = 0; i < PIECES; i++) {
            for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(pieces[i][j], i & 0xff);
        }
        arena_reset(&arena);
    }
}
