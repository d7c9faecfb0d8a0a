// SPDX-License-Identifier: Apache-2.0
// What tests of stacks write in the machine's own instructions and registers.
#pragma once

#include <stdint.h>
#include <ucontext.h>

#include "pprof/stack/leaf.h"

#ifdef __aarch64__

#define NEXT_ADDRESS "adr %0, . + 4"                         // what is behind it
#define SIGNED(address) ((address) | (uintptr_t)0xb7 << 48)  // as pointer authentication leaves it

#define CALLER_AT_START LEAF_CALLER_IN_LINK  // where a function's caller is at its beginning
enum { ENTRY_OFFSET = 0 };                   // the frame address there, above the stack pointer

static inline void set_registers(ucontext_t *context, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
    context->uc_mcontext.pc = pc;
    context->uc_mcontext.sp = sp;
    context->uc_mcontext.regs[29] = fp;
}

// A prologue and an epilogue, by hand; what each label stands for: tests/unit/pprof/stack/leaf.c.
#define LEAF_CODE                                                                                  \
    "leaf_bare:\n"                                                                                 \
    ".cfi_startproc\n"                                                                             \
    "nop\n"                                                                                        \
    "stp x29, x30, [sp, #-16]!\n"                                                                  \
    ".cfi_adjust_cfa_offset 16\n"                                                                  \
    ".cfi_offset x29, -16\n"                                                                       \
    ".cfi_offset x30, -8\n"                                                                        \
    "leaf_pushed:\n"                                                                               \
    "mov x29, sp\n"                                                                                \
    ".cfi_def_cfa_register x29\n"                                                                  \
    "leaf_linked:\n"                                                                               \
    "nop\n"                                                                                        \
    "ldp x29, x30, [sp], #16\n"                                                                    \
    ".cfi_restore x29\n"                                                                           \
    ".cfi_restore x30\n"                                                                           \
    ".cfi_def_cfa sp, 0\n"                                                                         \
    "leaf_popped:\n"                                                                               \
    "ret\n"                                                                                        \
    ".cfi_def_cfa_offset 48\n"                                                                     \
    ".cfi_offset x30, -8\n"                                                                        \
    "leaf_deep:\n"                                                                                 \
    "nop\n"                                                                                        \
    ".cfi_endproc\n"

#else

#define NEXT_ADDRESS "lea 0(%%rip), %0"
#define SIGNED(address) (address)

#define CALLER_AT_START LEAF_CALLER_IN_WORD_0
enum { ENTRY_OFFSET = 8 };

static inline void set_registers(ucontext_t *context, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
    context->uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
    context->uc_mcontext.gregs[REG_RBP] = (greg_t)fp;
}

#define LEAF_CODE                                                                                  \
    "leaf_bare:\n"                                                                                 \
    ".cfi_startproc\n"                                                                             \
    "nop\n"                                                                                        \
    "push %rbp\n"                                                                                  \
    ".cfi_adjust_cfa_offset 8\n"                                                                   \
    "leaf_pushed:\n"                                                                               \
    "mov %rsp, %rbp\n"                                                                             \
    ".cfi_def_cfa_register %rbp\n"                                                                 \
    "leaf_linked:\n"                                                                               \
    "nop\n"                                                                                        \
    "pop %rbp\n"                                                                                   \
    ".cfi_def_cfa %rsp, 8\n"                                                                       \
    "leaf_popped:\n"                                                                               \
    "ret\n"                                                                                        \
    ".cfi_def_cfa_offset 48\n"                                                                     \
    "leaf_deep:\n"                                                                                 \
    "nop\n"                                                                                        \
    ".cfi_endproc\n"

#endif
