// SPDX-License-Identifier: Apache-2.0
// A profile as a table of functions, as `go tool pprof -top` prints it: flat is what a function
// itself took, cum what it and everything below it took.
#pragma once

#include "pprof/profile/profile.h"

// By sample value number `value`, largest flat first. STATUS_NO_MEMORY, STATUS_TOO_LARGE. Context:
// any thread, not signal.
MUST_USE enum status top_write(const struct profile *profile, size_t value, struct buffer *out);
