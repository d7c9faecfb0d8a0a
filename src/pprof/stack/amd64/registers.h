// SPDX-License-Identifier: Apache-2.0
// The registers of x86-64 (System V ABI). What each function means: ../machine.h.
#pragma once

#include <stdint.h>
#include <ucontext.h>

enum { DWARF_STACK_POINTER = 7 };  // figure 3.36

static inline uintptr_t register_pc(const ucontext_t *context) {
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

static inline uintptr_t register_sp(const ucontext_t *context) {
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}

static inline uintptr_t register_fp(const ucontext_t *context) {
    return (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
}

static inline uintptr_t register_link(const ucontext_t *context) {
    (void)context;
    return 0;  // `call` pushes the return address
}

static inline uintptr_t plain_address(uintptr_t return_address) {
    return return_address;
}
