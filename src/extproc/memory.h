// SPDX-License-Identifier: Apache-2.0
// How much memory this process may use: what its cgroup and those above allow, version 1 or 2.
#pragma once

#include <stddef.h>

// SIZE_MAX: there is no limit, or it can't be read. Context: start-up.
size_t memory_limit_bytes(void);
