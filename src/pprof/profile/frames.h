// SPDX-License-Identifier: Apache-2.0
// What one frame of a sample reads like, whether it is an address or a name, for the text forms.
#pragma once

#include "pprof/profile/store.h"
#include "pprof/symbol/symbol.h"

struct frame {
    // Innermost inlined function first; never empty. The texts live as long as this and the sample.
    struct symbol_line lines[SYMBOL_LINES_MOST];
    size_t line_count;
    char address[20];  // in hex, where there is no name
};

// Frame `place` of the sample, 0 is the leaf. Microseconds. Context: any thread, not signal.
void frame_read(const struct sample_key *key, uint32_t place, struct frame *ret_frame);
