// SPDX-License-Identifier: Apache-2.0
// Where the caller's frame begins at one instruction: the CFA row of .eh_frame, and no more of it.
// This is not an unwinder: registers are not restored. Works on bytes, checks each against the end.
// Specs: DWARF 5 section 6.4 (call frame information); LSB core 5.0 sections 10.6 and 10.6.2 for
// .eh_frame and .eh_frame_hdr; binary search in the header's table, then one run over the rows.
#pragma once

#include <stdint.h>

#include "base/bytes.h"

// An ELF image in memory, as far as it is needed here.
struct cfi_image {
    uintptr_t start;              // of the mapped image
    uintptr_t end;                // behind its last byte
    const uint8_t *eh_frame_hdr;  // inside it; NULL: none
};

// Where a function's return address is at one of its instructions.
enum cfi_caller {
    CFI_CALLER_IN_REGISTER,  // where the call put it, on machines that keep it in a register
    CFI_CALLER_SAVED,        // in memory
    CFI_CALLER_UNKNOWN,      // nobody called, or the table says it in a way that no code in use has
};

// The rules in force: the canonical frame address is `reg` + `offset`, and a saved return address
// lies at that + `caller_offset`.
struct cfi_row {
    uint32_t reg;  // DWARF number
    int64_t offset;
    enum cfi_caller caller;
    int64_t caller_offset;
};

// STATUS_NOT_FOUND: no row covers pc. STATUS_UNSUPPORTED: the address is an expression, or the
// table has a form that no linker in use writes. STATUS_MALFORMED, STATUS_TRUNCATED.
// Context: any thread; not signal (it is cheap, but it is not needed there).
MUST_USE enum status cfi_find_row(const struct cfi_image *image, uintptr_t pc,
                                  struct cfi_row *ret_row);
