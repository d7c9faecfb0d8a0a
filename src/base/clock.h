// SPDX-License-Identifier: Apache-2.0
// Time as signed nanoseconds. Core code takes `now_ns` as an argument; only rim files call these.
#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

static inline int64_t clock_read_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

// Never goes back; for durations and deadlines. Context: any thread, signal.
static inline int64_t clock_monotonic_ns(void) {
    return clock_read_ns(CLOCK_MONOTONIC);
}

// Since 1970-01-01 UTC; for time stamps. Context: any thread, signal.
static inline int64_t clock_wall_ns(void) {
    return clock_read_ns(CLOCK_REALTIME);
}
