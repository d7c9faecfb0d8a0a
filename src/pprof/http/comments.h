// SPDX-License-Identifier: Apache-2.0
// What a profile says of itself, for whoever finds the file a week later: `go tool pprof
// -comments`.
#pragma once

#include "base/bytes.h"

// The version that the program gave at start; borrowed for ever. Context: start-up.
void comments_set_version(const char *version);

// Appends lines of key=value pairs: version, build id, pod, node and namespace where the
// environment names them, the container's limits, the sampling rates in force, what was lost,
// how many stacks of this profile are cut. Context: any thread.
MUST_USE enum status comments_write(int64_t stacks_cut, struct buffer *out);
