// SPDX-License-Identifier: Apache-2.0
// What stack walking needs to know of the machine: registers of an interrupted thread, and how a
// frame record lies in memory. Context of all functions: any thread, signal.
#pragma once

#include <stdint.h>
#include <ucontext.h>

struct machine_registers {
    uintptr_t pc, sp, fp;
};

// A frame record, where the frame pointer points: the caller's record, then the return address.
// System V ABI x86-64, figure 3.3; the same layout in AAPCS64 section 6.4.6.
struct machine_frame {
    uintptr_t caller_fp;
    uintptr_t return_address;
};

enum {
    DWARF_FRAME_POINTER = 6,  // System V ABI x86-64, figure 3.36: register numbers
    DWARF_STACK_POINTER = 7,
};

static inline struct machine_registers machine_registers_of(const ucontext_t *context) {
    const greg_t *registers = context->uc_mcontext.gregs;
    return (struct machine_registers){.pc = (uintptr_t)registers[REG_RIP],
                                      .sp = (uintptr_t)registers[REG_RSP],
                                      .fp = (uintptr_t)registers[REG_RBP]};
}
