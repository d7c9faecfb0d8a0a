// SPDX-License-Identifier: Apache-2.0
// How many CPUs this process may use: as many as its affinity has (a cpuset shows there), but no
// more than the CPU quota of its cgroup and of those above, version 1 or 2, rounded up.
#pragma once

#include <stddef.h>

// At least 1. What can't be read doesn't limit. Context: start-up.
size_t cpus_count(void);
