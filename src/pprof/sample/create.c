// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/create.h"

#include <stdatomic.h>

#include "pprof/libc/plain.h"
#include "pprof/sample/stack.h"

enum { STORE_BYTES_MOST = 8 << 20 };

static atomic_llong created_count;
static struct shared_store store = SHARED_STORE_INIT(STORE_BYTES_MOST);

void create_record(const void *frame) {
    atomic_fetch_add(&created_count, 1);
    uintptr_t addresses[STACK_DEPTH];
    const struct sample_key key = {
        .addresses = addresses,
        .depth = stack_capture(frame, (uintptr_t)__real_pthread_create, addresses)};
    shared_store_add(&store, &key, 1, 0);
}

static enum status collect(struct store *out, void *context) {
    (void)context;
    return shared_store_copy(&store, out);
}

static int64_t count(void *context) {
    (void)context;
    return atomic_load(&created_count);
}

static int64_t period(void) {
    return 1;
}

const struct source threadcreate_source = {
    .name = "threadcreate",
    .description = "Stacks that created threads, since the start.",
    .sample_types = {{"threadcreate", "count"}},
    .period_type = {"threadcreate", "count"},
    .period = period,
    .collect = collect,
    .count = count,
};
