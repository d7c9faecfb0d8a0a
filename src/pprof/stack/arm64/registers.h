// SPDX-License-Identifier: Apache-2.0
// The registers of AArch64 (AAPCS64). What each function means: ../machine.h.
#pragma once

#include <stdint.h>
#include <ucontext.h>

enum { DWARF_STACK_POINTER = 31 };  // DWARF for the Arm 64-bit Architecture, section 4.1

static inline uintptr_t register_pc(const ucontext_t *context) {
    return (uintptr_t)context->uc_mcontext.pc;
}

static inline uintptr_t register_sp(const ucontext_t *context) {
    return (uintptr_t)context->uc_mcontext.sp;
}

static inline uintptr_t register_fp(const ucontext_t *context) {
    return (uintptr_t)context->uc_mcontext.regs[29];
}

static inline uintptr_t register_link(const ucontext_t *context) {
    return (uintptr_t)context->uc_mcontext.regs[30];
}

// Code that signs its return addresses (ours does not, the vDSO may) puts the signature into the
// bits above the address space. Linux gives out addresses of at most 48 bits unless asked for more.
static inline uintptr_t plain_address(uintptr_t return_address) {
    return return_address & (((uintptr_t)1 << 48) - 1);
}
