// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static struct ring *ring;

static int setup(void **state) {
    (void)state;
    ring = malloc(sizeof *ring);
    ring_init(ring);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(ring);
    return 0;
}

static bool write_weight(uint32_t weight) {
    struct ring_slot *slot = ring_claim(ring);
    if (slot == NULL) return false;
    slot->tick.weight = weight;
    ring_release(slot);
    return true;
}

// 0: nothing there.
static uint32_t read_weight(void) {
    struct ring_slot *slot = ring_take(ring);
    if (slot == NULL) return 0;
    uint32_t weight = slot->tick.weight;
    ring_return(ring, slot);
    return weight;
}

static void test_ring__an_empty_one_gives_nothing(void **state) {
    (void)state;
    assert_null(ring_take(ring));
    assert_null(ring_take(ring));
}

static void test_ring__first_in_is_first_out(void **state) {
    (void)state;
    for (uint32_t i = 1; i <= 10; i++) assert_true(write_weight(i));
    for (uint32_t i = 1; i <= 10; i++) assert_int_equal(read_weight(), i);
    assert_int_equal(read_weight(), 0);
}

static void test_ring__a_slot_that_is_only_claimed_is_not_read(void **state) {
    (void)state;
    struct ring_slot *first = ring_claim(ring);
    assert_true(write_weight(2));
    assert_null(ring_take(ring));  // the second waits behind the first
    first->tick.weight = 1;
    ring_release(first);
    assert_int_equal(read_weight(), 1);
    assert_int_equal(read_weight(), 2);
    assert_int_equal(read_weight(), 0);
}

// A taken slot may still be read while others write.
static void test_ring__a_slot_that_is_taken_is_not_written_until_it_is_returned(void **state) {
    (void)state;
    for (uint32_t i = 1; i <= RING_SLOTS; i++) assert_true(write_weight(i));
    struct ring_slot *taken = ring_take(ring);
    assert_ptr_equal(ring_take(ring), taken);
    assert_null(ring_claim(ring));
    ring_return(ring, taken);
    assert_ptr_equal(ring_claim(ring), taken);
}

static void test_ring__a_full_one_refuses_and_loses_nothing_that_was_in(void **state) {
    (void)state;
    for (uint32_t i = 1; i <= RING_SLOTS; i++) assert_true(write_weight(i));
    assert_false(write_weight(9999));
    assert_false(write_weight(9999));
    for (uint32_t i = 1; i <= RING_SLOTS; i++) assert_int_equal(read_weight(), i);
    assert_int_equal(read_weight(), 0);
    assert_true(write_weight(7));
    assert_int_equal(read_weight(), 7);
}

// Fills and empties by amounts that share no factor with the size.
static void go_round(uint32_t rounds) {
    uint32_t written = 0;
    uint32_t read = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < 677; i++) assert_true(write_weight(++written));
        for (uint32_t i = 0; i < 677; i++) assert_int_equal(read_weight(), ++read);
    }
    assert_int_equal(read_weight(), 0);
}

static void test_ring__it_goes_round_thousands_of_times(void **state) {
    (void)state;
    go_round(4000);
}

// Would catch: turns compared as unsigned numbers instead of by their distance.
static void test_ring__positions_may_pass_the_largest_number(void **state) {
    (void)state;
    size_t start = SIZE_MAX - 100;
    atomic_init(&ring->write_position, start);
    ring->read_position = start;
    for (size_t i = 0; i < RING_SLOTS; i++) {
        atomic_init(&ring->slots[(start + i) % RING_SLOTS].turn, start + i);
    }
    for (uint32_t i = 1; i <= RING_SLOTS; i++) assert_true(write_weight(i));
    assert_false(write_weight(1));
    for (uint32_t i = 1; i <= RING_SLOTS; i++) assert_int_equal(read_weight(), i);
    go_round(10);
}

enum { WRITERS = 4, WRITES = 30000 };

struct writer {
    pthread_t thread;
    uint32_t number;
    size_t lost;
};

static atomic_uint writers_done;

// Every word of the tick is made from writer and count, so that a torn one shows.
static void *write_many(void *argument) {
    struct writer *writer = argument;
    for (uint32_t count = 1; count <= WRITES; count++) {
        struct ring_slot *slot = ring_claim(ring);
        if (slot == NULL) {
            writer->lost++;
            sched_yield();
            continue;
        }
        slot->tick.weight = count;
        slot->tick.depth = writer->number;
        for (size_t i = 0; i < STACK_DEPTH; i++) {
            slot->tick.addresses[i] = (uintptr_t)count << 8 | writer->number;
        }
        ring_release(slot);
    }
    atomic_fetch_add(&writers_done, 1);
    return NULL;
}

static size_t read_all(uint32_t last_count[WRITERS]) {
    size_t taken = 0;
    for (struct ring_slot *slot; (slot = ring_take(ring)) != NULL; ring_return(ring, slot)) {
        const struct tick *tick = &slot->tick;
        assert_in_range(tick->depth, 0, WRITERS - 1);
        for (size_t i = 0; i < STACK_DEPTH; i++) {
            assert_int_equal(tick->addresses[i], (uintptr_t)tick->weight << 8 | tick->depth);
        }
        assert_true(tick->weight > last_count[tick->depth]);  // in order, none twice
        last_count[tick->depth] = tick->weight;
        taken++;
    }
    return taken;
}

static void test_ring__several_writers_and_a_reader_lose_double_and_tear_nothing(void **state) {
    (void)state;
    struct writer writers[WRITERS] = {0};
    uint32_t last_count[WRITERS] = {0};
    size_t taken = 0;
    atomic_store(&writers_done, 0);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    while (atomic_load(&writers_done) < WRITERS) {
        taken += read_all(last_count);
        sched_yield();
    }
    size_t lost = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        lost += writers[i].lost;
    }
    taken += read_all(last_count);
    assert_int_equal(taken + lost, WRITERS * WRITES);
    assert_true(taken > RING_SLOTS);
}
