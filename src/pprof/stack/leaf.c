// SPDX-License-Identifier: Apache-2.0
#include "pprof/stack/leaf.h"

#include <string.h>

#include "pprof/libc/plain.h"
#include "pprof/stack/image.h"
#include "pprof/stack/machine.h"

// Direct-mapped: two instructions that share a place look their row up again in turn.
enum { REMEMBERED = 2048 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static struct {
    uintptr_t pc;
    enum leaf_caller caller;
} remembered[REMEMBERED];

static enum leaf_caller place_of(const struct cfi_row *row, uint32_t stack_pointer) {
    if (row->caller == CFI_CALLER_IN_REGISTER) return LEAF_CALLER_IN_LINK;
    if (row->caller != CFI_CALLER_SAVED || row->reg != stack_pointer) return LEAF_CALLER_IN_CHAIN;
    int64_t above_sp = row->offset + row->caller_offset;
    if (above_sp == 0) return LEAF_CALLER_IN_WORD_0;
    if (above_sp == sizeof(uintptr_t)) return LEAF_CALLER_IN_WORD_1;
    return LEAF_CALLER_IN_CHAIN;
}

static enum leaf_caller look_up(uintptr_t pc) {
    const struct image *image = images_find(pc);
    struct cfi_row row;
    if (image == NULL || cfi_find_row(&image->cfi, pc, &row) != STATUS_OK) {
        return LEAF_CALLER_IN_CHAIN;
    }
    return place_of(&row, DWARF_STACK_POINTER);
}

enum leaf_caller leaf_find_caller(uintptr_t pc) {
    plain_lock(&lock);
    size_t place = (pc ^ pc >> 11) % REMEMBERED;
    if (remembered[place].pc != pc) {
        remembered[place].pc = pc;
        remembered[place].caller = look_up(pc);
    }
    enum leaf_caller caller = remembered[place].caller;
    plain_unlock(&lock);
    return caller;
}

uint32_t leaf_repair(uintptr_t *addresses, uint32_t depth, uint32_t most,
                     const uintptr_t words[LEAF_WORDS]) {
    if (depth == 0 || most < 2) return depth;
    uintptr_t address = words[leaf_find_caller(addresses[0])];
    // None, or a wrong row, which must not invent a frame.
    if (images_find(address) == NULL) return depth;
    uint32_t kept = depth < most ? depth : most - 1;
    memmove(addresses + 2, addresses + 1, (kept - 1) * sizeof addresses[0]);
    addresses[1] = address;
    return kept + 1;
}
