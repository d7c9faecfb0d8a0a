// SPDX-License-Identifier: Apache-2.0
#include "pprof/stack/walk.h"

#include <string.h>

#include "tests/unit/pprof/machine.h"

enum { WORDS = 64, MOST = 16 };

// A stack that grows down from WORDS; records are written by hand.
static uintptr_t stack[WORDS];
static uintptr_t found[MOST];

static int setup(void **state) {
    (void)state;
    memset(stack, 0, sizeof stack);
    memset(found, 0, sizeof found);
    return 0;
}

static uintptr_t address_of(size_t word) {
    return (uintptr_t)&stack[word];
}

static void put_record(size_t word, uintptr_t caller_fp, uintptr_t return_address) {
    stack[word] = caller_fp;
    stack[word + 1] = return_address;
}

static struct walk_result walk(uintptr_t fp, uint32_t most) {
    return walk_frames(fp, address_of(0), address_of(WORDS), found, most);
}

static void assert_result(struct walk_result result, uint32_t depth, bool is_complete) {
    assert_int_equal(result.depth, depth);
    assert_int_equal(result.is_complete, is_complete);
}

static void test_walk__a_chain_that_ends_in_zero_is_complete(void **state) {
    (void)state;
    put_record(4, address_of(20), 0x1111);
    put_record(20, address_of(WORDS - 2), 0x2222);  // the highest place that a record fits in
    put_record(WORDS - 2, 0, 0x3333);
    assert_result(walk(address_of(4), MOST), 3, true);
    assert_int_equal(found[0], 0x1111);
    assert_int_equal(found[1], 0x2222);
    assert_int_equal(found[2], 0x3333);
    assert_int_equal(found[3], 0);
}

static void test_walk__a_signed_return_address_is_told_without_its_signature(void **state) {
    (void)state;
    put_record(4, 0, SIGNED(0x7fff12345678));
    assert_result(walk(address_of(4), MOST), 1, true);
    assert_int_equal(found[0], 0x7fff12345678);
}

static void test_walk__a_zero_return_address_ends_it_too(void **state) {
    (void)state;
    put_record(4, address_of(20), 0x1111);
    put_record(20, address_of(30), 0);
    assert_result(walk(address_of(4), MOST), 1, true);
}

static void test_walk__no_frame_pointer_at_all_is_complete_and_empty(void **state) {
    (void)state;
    assert_result(walk(0, MOST), 0, true);
}

// Would catch: an endless loop in the signal handler.
static void test_walk__a_loop_ends(void **state) {
    (void)state;
    put_record(4, address_of(4), 0x1111);
    assert_result(walk(address_of(4), MOST), 1, false);
    put_record(8, address_of(20), 0x1111);
    put_record(20, address_of(8), 0x2222);
    assert_result(walk(address_of(8), MOST), 2, false);
    put_record(30, address_of(31), 0x1111);  // overlaps the record itself
    assert_result(walk(address_of(30), MOST), 1, false);
}

static void test_walk__a_misaligned_record_is_not_read(void **state) {
    (void)state;
    put_record(4, address_of(20) + 1, 0x1111);
    put_record(20, 0, 0x2222);
    assert_result(walk(address_of(4), MOST), 1, false);
    assert_result(walk(address_of(4) + 4, MOST), 0, false);
}

// The neighbours of the stack are other objects: AddressSanitizer or a wrong depth tells.
static void test_walk__nothing_is_read_outside_the_bounds(void **state) {
    (void)state;
    static const uintptr_t below[2] = {0, 0x4444};
    assert_result(walk((uintptr_t)below, MOST), 0, false);
    assert_result(walk(address_of(0) - sizeof(uintptr_t), MOST), 0, false);
    assert_result(walk(address_of(WORDS), MOST), 0, false);
    assert_result(walk(address_of(WORDS - 1), MOST), 0, false);  // half a record
    assert_result(walk(UINTPTR_MAX & ~(uintptr_t)7, MOST), 0, false);
    put_record(4, address_of(WORDS - 1), 0x1111);
    assert_result(walk(address_of(4), MOST), 1, false);
    put_record(4, UINTPTR_MAX - 15, 0x1111);
    assert_result(walk(address_of(4), MOST), 1, false);
}

// Where the upper end is not known it is 0, and then nothing may be read.
static void test_walk__an_unknown_or_tiny_stack_has_no_frames(void **state) {
    (void)state;
    put_record(4, address_of(20), 0x1111);
    assert_result(walk_frames(address_of(4), address_of(0), 0, found, MOST), 0, false);
    assert_result(walk_frames(address_of(4), address_of(0), 8, found, MOST), 0, false);
    assert_result(walk_frames(address_of(4), address_of(4), address_of(5), found, MOST), 0, false);
}

static void test_walk__the_depth_is_limited(void **state) {
    (void)state;
    for (size_t i = 0; i < 20; i++) put_record(2 * i, address_of(2 * i + 2), 0x1000 + i);
    assert_result(walk(address_of(0), 5), 5, false);
    assert_int_equal(found[4], 0x1004);
    assert_int_equal(found[5], 0);
    assert_result(walk(address_of(0), 0), 0, false);
    // As deep as there is room, and whole.
    put_record(8, 0, 0x1004);
    assert_result(walk(address_of(0), 5), 5, true);
}
