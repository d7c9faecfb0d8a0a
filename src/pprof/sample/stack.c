// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/stack.h"

#include "pprof/libc/plain.h"
#include "pprof/sample/thread.h"
#include "pprof/stack/walk.h"

uint32_t stack_capture(const void *frame, uintptr_t leaf, uintptr_t addresses[STACK_DEPTH]) {
    uint32_t depth = 0;
    if (leaf != 0) addresses[depth++] = leaf;
    if (thread_self == NULL) return depth;
    uintptr_t low = (uintptr_t)frame;
    struct walk_result walk = walk_frames(low, low, thread_self->stack_high, addresses + depth,
                                          STACK_DEPTH - depth);
    for (uint32_t i = 0; i < walk.depth; i++) addresses[depth++]--;
    return depth;
}

struct sample *shared_store_find(struct shared_store *shared, const struct sample_key *key) {
    plain_lock(&shared->lock);
    struct sample *sample = store_find(&shared->store, key);
    if (sample == NULL) shared->refused_count++;
    plain_unlock(&shared->lock);
    return sample;
}

void shared_store_add(struct shared_store *shared, const struct sample_key *key, int64_t first,
                      int64_t second) {
    struct sample *sample = shared_store_find(shared, key);
    if (sample == NULL) return;
    shared_sample_add(sample, 0, first);
    shared_sample_add(sample, 1, second);
}

uint32_t shared_store_list(struct shared_store *shared, const struct sample **ret_first) {
    plain_lock(&shared->lock);
    *ret_first = shared->store.first;
    uint32_t count = shared->store.sample_count;
    plain_unlock(&shared->lock);
    return count;
}

enum status shared_store_copy(struct shared_store *shared, struct store *out) {
    const struct sample *sample;
    uint32_t count = shared_store_list(shared, &sample);
    for (uint32_t i = 0; i < count; i++) {
        if (i != 0) sample = sample->next;
        int64_t values[SAMPLE_VALUES];
        for (int v = 0; v < SAMPLE_VALUES; v++) values[v] = shared_sample_read(sample, v);
        enum status status = store_add(out, &sample->key, values);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

uint64_t shared_store_refused(struct shared_store *shared) {
    plain_lock(&shared->lock);
    uint64_t count = shared->refused_count;
    plain_unlock(&shared->lock);
    return count;
}
