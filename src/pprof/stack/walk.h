// SPDX-License-Identifier: Apache-2.0
// Follows frame pointers: 40-50 ns a stack. Everything is built with -fno-omit-frame-pointer, libc
// included, so the chain is whole but for one place: the caller of a leaf that has no frame of its
// own (see leaf.h). Reads only words between the stack pointer and the stack's known upper end.
// Context: any thread, signal.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "pprof/stack/machine.h"

struct walk_result {
    uint32_t depth;
    bool is_complete;  // the chain ended in the zero that the thread's start (or _start) put there
};

// Writes the return addresses of the frames above `fp` to `addresses`, at most `most`. `low` and
// `high` bound the stack: a frame record lies wholly inside [low, high), and each lies above the
// one before, so a wild chain ends instead of looping.
NO_SANITIZE_ADDRESS static inline struct walk_result walk_frames(uintptr_t fp, uintptr_t low,
                                                                 uintptr_t high,
                                                                 uintptr_t *addresses,
                                                                 uint32_t most) {
    uint32_t depth = 0;
    while (depth < most) {
        if (fp == 0) return (struct walk_result){depth, true};
        if (fp < low || fp >= high || high - fp < sizeof(struct machine_frame)) break;
        if (fp % sizeof(uintptr_t) != 0) break;
        const struct machine_frame *frame = (const struct machine_frame *)fp;
        if (frame->return_address == 0) return (struct walk_result){depth, true};
        addresses[depth++] = plain_address(frame->return_address);
        low = fp + sizeof *frame;
        fp = frame->caller_fp;
    }
    return (struct walk_result){depth, fp == 0};
}
