// SPDX-License-Identifier: Apache-2.0
// The one form that every profile has inside: samples with their types, a period and a time. Text,
// protobuf and page are all made from it.
#pragma once

#include "base/bytes.h"
#include "pprof/profile/store.h"

struct profile_type {
    const char *type, *unit;  // "cpu", "nanoseconds"; NULL type: there is none
};

struct profile {
    struct profile_type sample_types[SAMPLE_VALUES];  // those with a type come first
    const char *default_sample_type;                  // NULL: the last
    struct profile_type period_type;
    int64_t period;
    int64_t time_wall_ns;
    int64_t duration_ns;          // 0: a snapshot
    const struct store *samples;  // borrowed
    struct bytes comments;        // borrowed; lines, each a comment of the profile
};
