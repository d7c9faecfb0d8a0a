// SPDX-License-Identifier: Apache-2.0
// Names for addresses, found in this process: functions, files, lines and inlined frames from the
// program's own debug data (libbacktrace), the symbol table for assembly, the vDSO's own table.
// The first look-up costs milliseconds and about 3 MB that stay, the others about a microsecond.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct symbol_line {
    const char *function;  // never NULL
    const char *file;      // the image's own if no line is known; never NULL
    int line;              // 0 unknown
};

// Inlined frames beyond this are cut at the outer end.
enum { SYMBOL_LINES_MOST = 32 };

// What stands at the address, innermost inlined function first. Returns how many, 0: unknown. The
// texts live as long as the process. `address` lies inside the instruction meant, so for a return
// address pass it less one. Context: any thread, not signal.
size_t symbol_resolve(uintptr_t address, struct symbol_line lines[SYMBOL_LINES_MOST]);

// How much memory the next look-up may take for good: that of the tables at the first one, then 0.
// Context: any thread.
size_t symbol_first_use_bytes(void);

// Where the function around the address begins, by the symbol table; 0: unknown. Context: as
// symbol_resolve.
uintptr_t symbol_start(uintptr_t address);
