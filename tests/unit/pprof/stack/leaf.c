// SPDX-License-Identifier: Apache-2.0
#include "pprof/stack/leaf.c"

#include "base/attributes.h"
#include "tests/unit/pprof/machine.h"

// Code whose rows are written here: what a leaf, a prologue and an epilogue look like.
__asm__(
    ".text\n"
    ".globl leaf_bare, leaf_pushed, leaf_linked, leaf_popped, leaf_deep, leaf_untold, leaf_end\n"
    ".hidden leaf_bare, leaf_pushed, leaf_linked, leaf_popped, leaf_deep, leaf_untold, leaf_end\n"
    ".type leaf_bare, @function\n" LEAF_CODE ".size leaf_bare, . - leaf_bare\n"
    ".skip 64, 0\n"
    "leaf_untold:\n"
    "nop\n"
    "leaf_end:\n");
extern const char leaf_bare[], leaf_pushed[], leaf_linked[], leaf_popped[], leaf_deep[],
    leaf_untold[], leaf_end[];

static uintptr_t some_return_address(void) {
    return (uintptr_t)leaf_linked;
}

static void test_leaf__the_row_says_where_the_caller_is(void **state) {
    (void)state;
    const struct {
        const char *pc;
        enum leaf_caller caller;
    } rows[] = {
        {leaf_bare, CALLER_AT_START},         {leaf_bare + 1, CALLER_AT_START},
        {leaf_pushed, LEAF_CALLER_IN_WORD_1}, {leaf_linked, LEAF_CALLER_IN_CHAIN},
        {leaf_popped, CALLER_AT_START},       {leaf_deep, LEAF_CALLER_IN_CHAIN},
        {leaf_untold, LEAF_CALLER_IN_CHAIN},
    };
    for (int round = 0; round < 2; round++) {  // the second time from memory
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            assert_int_equal(leaf_find_caller((uintptr_t)rows[i].pc), rows[i].caller);
        }
    }
}

// Rows of both machines, wherever this runs.
static void test_leaf__the_place_follows_from_the_row_on_each_machine(void **state) {
    (void)state;
    enum { RBP = 6, RSP = 7, X29 = 29, SP = 31 };
    const struct {
        struct cfi_row row;
        uint32_t stack_pointer;
        enum leaf_caller caller;
    } rows[] = {
        {{RSP, 8, CFI_CALLER_SAVED, -8}, RSP, LEAF_CALLER_IN_WORD_0},
        {{RSP, 16, CFI_CALLER_SAVED, -8}, RSP, LEAF_CALLER_IN_WORD_1},
        {{RSP, 24, CFI_CALLER_SAVED, -8}, RSP, LEAF_CALLER_IN_CHAIN},
        {{RBP, 16, CFI_CALLER_SAVED, -8}, RSP, LEAF_CALLER_IN_CHAIN},
        {{RSP, 8, CFI_CALLER_UNKNOWN, 0}, RSP, LEAF_CALLER_IN_CHAIN},     // a thread's start
        {{SP, 0, CFI_CALLER_IN_REGISTER, 0}, SP, LEAF_CALLER_IN_LINK},    // a leaf
        {{SP, 512, CFI_CALLER_IN_REGISTER, 0}, SP, LEAF_CALLER_IN_LINK},  // `sub sp` before `stp`
        {{SP, 16, CFI_CALLER_SAVED, -8}, SP, LEAF_CALLER_IN_WORD_1},      // behind `stp`
        {{SP, 48, CFI_CALLER_SAVED, -40}, SP, LEAF_CALLER_IN_WORD_1},
        {{SP, 48, CFI_CALLER_SAVED, -24}, SP, LEAF_CALLER_IN_CHAIN},  // below arguments
        {{X29, 48, CFI_CALLER_SAVED, -40}, SP, LEAF_CALLER_IN_CHAIN},
        {{SP, 0, CFI_CALLER_UNKNOWN, 0}, SP, LEAF_CALLER_IN_CHAIN},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(place_of(&rows[i].row, rows[i].stack_pointer), rows[i].caller);
    }
}

static void test_leaf__code_that_no_image_holds_is_left_alone(void **state) {
    (void)state;
    static const char data[1];
    assert_int_equal(leaf_find_caller(0), LEAF_CALLER_IN_CHAIN);
    assert_int_equal(leaf_find_caller((uintptr_t)data), LEAF_CALLER_IN_CHAIN);
    assert_int_equal(leaf_find_caller(UINTPTR_MAX), LEAF_CALLER_IN_CHAIN);
}

// At the first instruction of any function the return address is where the call put it.
static void test_leaf__libc_s_assembly_has_rows_too(void **state) {
    (void)state;
    void *(*volatile copy)(void *, const void *, size_t) = memmove;
    assert_int_equal(leaf_find_caller((uintptr_t)copy), CALLER_AT_START);
}

// Would catch: an answer remembered for one instruction and given for another.
static void test_leaf__instructions_that_share_a_place_do_not_mix(void **state) {
    (void)state;
    size_t place = ((uintptr_t)leaf_bare ^ (uintptr_t)leaf_bare >> 11) % REMEMBERED;
    uintptr_t other = 0;
    for (uintptr_t pc = 1; other == 0; pc++) {
        if ((pc ^ pc >> 11) % REMEMBERED == place) other = pc;
    }
    for (int round = 0; round < 3; round++) {
        assert_int_equal(leaf_find_caller((uintptr_t)leaf_bare), CALLER_AT_START);
        assert_int_equal(leaf_find_caller(other), LEAF_CALLER_IN_CHAIN);
    }
}

static void test_leaf__the_lost_caller_is_put_behind_the_leaf(void **state) {
    (void)state;
    const uintptr_t caller = some_return_address();
    const struct {
        const char *pc;
        uintptr_t words[LEAF_WORDS];
    } rows[] = {
        {leaf_bare, {[CALLER_AT_START] = caller}},
        {leaf_pushed, {[LEAF_CALLER_IN_WORD_0] = 0x10, [LEAF_CALLER_IN_WORD_1] = caller}},
        {leaf_popped, {[CALLER_AT_START] = caller}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uintptr_t addresses[8] = {(uintptr_t)rows[i].pc, 0x1111, 0x2222, 0x3333};
        assert_int_equal(leaf_repair(addresses, 4, 8, rows[i].words), 5);
        const uintptr_t expected[] = {(uintptr_t)rows[i].pc, caller, 0x1111, 0x2222, 0x3333, 0};
        assert_memory_equal(addresses, expected, sizeof expected);
    }
}

static void test_leaf__a_frame_that_is_linked_needs_no_repair(void **state) {
    (void)state;
    const uintptr_t words[LEAF_WORDS] = {[1 ... LEAF_WORDS - 1] = some_return_address()};
    uintptr_t addresses[4] = {(uintptr_t)leaf_linked, 0x1111};
    assert_int_equal(leaf_repair(addresses, 2, 4, words), 2);
    assert_int_equal(addresses[1], 0x1111);
    assert_int_equal(leaf_repair(addresses, 0, 4, words), 0);
}

// Would catch: a frame invented from a word that is no code address.
static void test_leaf__a_word_that_is_no_code_is_not_inserted(void **state) {
    (void)state;
    static const char data[1];
    const uintptr_t wrong[] = {0, 1, (uintptr_t)data, UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        uintptr_t words[LEAF_WORDS] = {[1 ... LEAF_WORDS - 1] = some_return_address()};
        words[CALLER_AT_START] = wrong[i];
        uintptr_t addresses[4] = {(uintptr_t)leaf_bare, 0x1111};
        assert_int_equal(leaf_repair(addresses, 2, 4, words), 2);
        assert_int_equal(addresses[1], 0x1111);
    }
}

// Would catch: a write behind the last entry.
static void test_leaf__a_full_stack_gives_up_its_outermost_frame(void **state) {
    (void)state;
    const uintptr_t words[LEAF_WORDS] = {[CALLER_AT_START] = some_return_address()};
    uintptr_t addresses[5] = {(uintptr_t)leaf_bare, 0x1111, 0x2222, 0x3333, 0xeeee};
    assert_int_equal(leaf_repair(addresses, 4, 4, words), 4);
    const uintptr_t expected[] = {(uintptr_t)leaf_bare, words[CALLER_AT_START], 0x1111, 0x2222,
                                  0xeeee};
    assert_memory_equal(addresses, expected, sizeof expected);
    assert_int_equal(leaf_repair(addresses, 1, 4, words), 2);
    assert_int_equal(addresses[1], words[CALLER_AT_START]);
}

static void test_leaf__room_for_the_leaf_alone_stays_as_it_is(void **state) {
    (void)state;
    const uintptr_t words[LEAF_WORDS] = {[CALLER_AT_START] = some_return_address()};
    uintptr_t addresses[2] = {(uintptr_t)leaf_bare, 0xeeee};
    assert_int_equal(leaf_repair(addresses, 1, 1, words), 1);
    assert_int_equal(addresses[0], (uintptr_t)leaf_bare);
    assert_int_equal(addresses[1], 0xeeee);
}
