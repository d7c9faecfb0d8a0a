// SPDX-License-Identifier: Apache-2.0
// Nanoseconds of thread CPU time for a malloc and its free, best of five; linked with tcmalloc and
// our sampler, and once more with musl's own allocator.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

enum { PAIRS = 1000000, TRIES = 5 };

static double pair_ns(size_t size) {
    double best = 1e9;
    for (int try = 0; try < TRIES; try++) {
        int64_t before_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
        for (size_t i = 0; i < PAIRS; i++) {
            void *volatile block = malloc(size + i % 64);
            free(block);
        }
        double ns = (double)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns) / PAIRS;
        if (ns < best) best = ns;
    }
    return best;
}

int main(void) {
    printf("%.2f %.2f\n", pair_ns(64), pair_ns(1024));
    return 0;
}
