// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/labels.h"

#include <pthread.h>
#include <string.h>

#include "pprof/libc/plain.h"

// Number n lies at sets[n - 1]; the last is the one that stands for all that did not fit.
static struct label_set sets[LABEL_SETS_MOST];
static uint64_t hashes[LABEL_SETS_MOST];  // of the sets: what a search looks at first
static uint32_t set_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t hash_of(const struct label_set *set) {
    uint64_t words[sizeof *set / sizeof(uint64_t)];
    memcpy(words, set, sizeof words);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

static uint32_t find(const struct label_set *set, uint64_t hash) {
    for (uint32_t i = 0; i < set_count; i++) {
        if (hashes[i] == hash && memcmp(&sets[i], set, sizeof *set) == 0) return i + 1;
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
    uint64_t hash = hash_of(set);
    plain_lock(&lock);
    uint32_t number = find(set, hash);
    if (number == 0 && set_count < LABEL_SETS_MOST) {
        number = ++set_count;
        if (number == LABEL_SETS_MOST) {
            make_other(set);
        } else {
            sets[number - 1] = *set;
            hashes[number - 1] = hash;
        }
    }
    if (number == 0) number = LABEL_SETS_MOST;
    plain_unlock(&lock);
    return number;
}

const struct label_set *labels_get(uint32_t number) {
    return number == 0 ? NULL : &sets[number - 1];
}
