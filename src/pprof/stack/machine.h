// SPDX-License-Identifier: Apache-2.0
// What stack walking needs to know of the machine: registers of an interrupted thread, and how a
// frame record lies in memory. Context of all functions: any thread, signal.
#pragma once

#include <stdint.h>
#include <ucontext.h>

// amd64/ or arm64/, by the compiler's -I: the registers one by one; plain_address, which takes the
// signature out of a return address; DWARF_STACK_POINTER, the register's number in unwind tables.
#include <registers.h>

struct machine_registers {
    uintptr_t pc, sp, fp;
    uintptr_t link;  // where the caller may be kept instead of on the stack; 0: no such register
};

// A frame record, where the frame pointer points: the caller's record, then the return address.
// System V ABI x86-64, figure 3.3; the same layout in AAPCS64 section 6.4.6.
struct machine_frame {
    uintptr_t caller_fp;
    uintptr_t return_address;
};

static inline struct machine_registers machine_registers_of(const ucontext_t *context) {
    return (struct machine_registers){.pc = register_pc(context),
                                      .sp = register_sp(context),
                                      .fp = register_fp(context),
                                      .link = plain_address(register_link(context))};
}
