// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/delta.h"

#include <stdbool.h>

static bool is_zero(const struct sample *sample) {
    for (int i = 0; i < SAMPLE_VALUES; i++) {
        if (sample->values[i] != 0) return false;
    }
    return true;
}

// Only from the list: the slots still find them, which nobody asks for any more.
void delta_drop_zeros(struct store *store) {
    struct sample **link = &store->first;
    store->last = NULL;
    while (*link != NULL) {
        struct sample *sample = *link;
        if (is_zero(sample)) {
            *link = sample->next;
            continue;
        }
        store->last = sample;
        link = &sample->next;
    }
}

enum status delta_subtract(struct store *after, const struct store *before) {
    for (const struct sample *sample = before->first; sample != NULL; sample = sample->next) {
        int64_t negated[SAMPLE_VALUES];
        for (int i = 0; i < SAMPLE_VALUES; i++) negated[i] = -sample->values[i];
        enum status status = store_add(after, &sample->key, negated);
        if (status != STATUS_OK) return status;
    }
    delta_drop_zeros(after);
    return STATUS_OK;
}
