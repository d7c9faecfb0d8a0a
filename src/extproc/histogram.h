// SPDX-License-Identifier: Apache-2.0
// Counts of values by size, for /metrics. One thread adds, with plain stores; any may read.
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

enum { HISTOGRAM_BOUNDS_MOST = 22 };

// What all histograms of a family have in common.
struct histogram_shape {
    const char *family;
    const char *help;
    struct histogram_bound {
        int64_t value;
        const char *text;             // as Go prints it: whoever compares `le` compares texts
    } bounds[HISTOGRAM_BOUNDS_MOST];  // ascending; 0 ends them
    int64_t unit;                     // values are divided by it when the sum is printed
};

// All zero at first.
struct histogram {
    /* atomic; written by one thread */
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS_MOST + 1];  // up to each bound; the last: over all
    _Atomic uint64_t sum;
};

// The same value so many times; one below 0 counts as 0. Context: the histogram's own thread.
void histogram_add(struct histogram *histogram, const struct histogram_shape *shape, int64_t value,
                   uint64_t times);

// Appends the comment lines of a family.
MUST_USE enum status histogram_write_head(const struct histogram_shape *shape, struct buffer *text);

// Appends the sum of `count` histograms under these labels (`a="b",c="d"`, or empty); those that
// are NULL count as empty. Nothing is appended for one that has no values, unless it has no labels.
// Context: any thread.
MUST_USE enum status histogram_write(const struct histogram_shape *shape,
                                     const struct histogram *const *histograms, size_t count,
                                     const char *labels, struct buffer *text);
