// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/frames.h"

#include <inttypes.h>
#include <stdio.h>

void frame_read(const struct sample_key *key, uint32_t place, struct frame *ret_frame) {
    uintptr_t address = key->addresses[place];
    if (key->has_names) {
        ret_frame->lines[0] = (struct symbol_line){(const char *)address, "", 0};
        ret_frame->line_count = 1;
        return;
    }
    ret_frame->line_count = symbol_resolve(address, ret_frame->lines);
    if (ret_frame->line_count != 0) return;
    snprintf(ret_frame->address, sizeof ret_frame->address, "%#" PRIxPTR, address);
    ret_frame->lines[0] = (struct symbol_line){ret_frame->address, "", 0};
    ret_frame->line_count = 1;
}
