// SPDX-License-Identifier: Apache-2.0
// For tests of another machine's program (make unit ARCH=...), which qemu runs.
#pragma once

#include <stdlib.h>

// Skips a test of something that the emulator does not do; the reason is in the output.
#define SKIP_EMULATED(reason)                                                                      \
    do {                                                                                           \
        const char *emulator = getenv("EMULATOR");                                                 \
        if (emulator != NULL && *emulator != '\0') {                                               \
            print_message("# skipped: %s %s\n", emulator, reason);                                 \
            skip();                                                                                \
        }                                                                                          \
    } while (0)
