// SPDX-License-Identifier: Apache-2.0
// A profile as folded stacks, what flame graph tools read: "root;caller;leaf VALUE", a line for
// each stack of function names, inlined ones among them.
#pragma once

#include "pprof/profile/profile.h"

// By sample value number `value`; stacks that read the same are one line, stacks with nothing of
// that value are left out. STATUS_NO_MEMORY, STATUS_TOO_LARGE. Context: any thread, not signal.
MUST_USE enum status folded_write(const struct profile *profile, size_t value, struct buffer *out);
