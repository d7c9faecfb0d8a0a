// SPDX-License-Identifier: Apache-2.0
// What /metrics says of the workers: the sums of their numbers, and how the load lies on them.
#pragma once

#include "extproc/listen/worker.h"

struct report {
    const struct metrics *const *others;  // sets that belong to no worker
    size_t other_count;
    struct worker *workers;
    size_t worker_count;
    struct genai_catalogue *catalogue;
};

// Appends it. Context: any thread.
MUST_USE enum status report_write(const struct report *report, struct buffer *text);
