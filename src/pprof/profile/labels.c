// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/labels.h"

#include <pthread.h>
#include <string.h>

#include "pprof/libc/plain.h"

// Number n lies at sets[n - 1]; the last is the one that stands for all that did not fit.
static struct label_set sets[LABEL_SETS_MOST];
static uint32_t set_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t find(const struct label_set *set) {
    for (uint32_t i = 0; i < set_count; i++) {
        if (memcmp(&sets[i], set, sizeof *set) == 0) return i + 1;
    }
    return 0;
}

// The keys of the first that does not fit: the others have the same.
static void make_other(const struct label_set *set) {
    struct label_set *other = &sets[LABEL_SETS_MOST - 1];
    *other = *set;
    for (int i = 0; i < LABELS_MOST && other->labels[i].key[0] != '\0'; i++) {
        memset(other->labels[i].value, 0, LABEL_VALUE_BYTES);
        memcpy(other->labels[i].value, "other", sizeof "other");
    }
}

uint32_t labels_intern(const struct label_set *set) {
    plain_lock(&lock);
    uint32_t number = find(set);
    if (number == 0 && set_count < LABEL_SETS_MOST) {
        number = ++set_count;
        if (number == LABEL_SETS_MOST) {
            make_other(set);
        } else {
            sets[number - 1] = *set;
        }
    }
    if (number == 0) number = LABEL_SETS_MOST;
    plain_unlock(&lock);
    return number;
}

const struct label_set *labels_get(uint32_t number) {
    return number == 0 ? NULL : &sets[number - 1];
}
