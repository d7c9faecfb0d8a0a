// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/labels.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "pprof/libc/plain.h"

enum { STEPS_MOST = 512, STEP_SLOTS = 2 * STEPS_MOST };

// How many sets there may be so that one more is told apart; the rest is for values that are not.
enum { CLAIMED_SETS_MOST = LABEL_SETS_MOST / 2, KNOWN_SETS_MOST = LABEL_SETS_MOST - 32 };

#define OTHER "other"

// The way from a set to the one with a label more, so that going it again takes no lock. A slot is
// written once, and read from then on.
struct step {
    atomic_uint to;  // 0: the slot is free; pairs release and acquire for the rest
    uint32_t from;
    const char *key;
    char value[LABEL_VALUE_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* written under lock; a number is given out when its set is complete */
// Number n lies at sets[n - 1]; the last is the one that stands for all that did not fit.
static struct label_set sets[LABEL_SETS_MOST];
static atomic_uint set_count;
static struct step steps[STEP_SLOTS];
/* guarded by lock */
static uint64_t hashes[LABEL_SETS_MOST];  // of the sets: what a search looks at first
static uint32_t step_count;

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

// Texts by words: they are zero-filled, so one ends with the first word that is zero. This is on
// the way of each request, and libc compares byte by byte.
static uint64_t word_at(const char *text, size_t place) {
    uint64_t word;
    memcpy(&word, text + place, sizeof word);
    return word;
}

static bool is_equal_text(const char *a, const char *b, size_t size) {
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        if (word_at(a, i) != word_at(b, i)) return false;
        if (word_at(a, i) == 0) return true;
    }
    return true;
}

static uint64_t hash_text(uint64_t hash, const char *text, size_t size) {
    for (size_t i = 0; i < size && word_at(text, i) != 0; i += sizeof(uint64_t)) {
        hash = mix(hash, word_at(text, i));
    }
    return mix(hash, size);
}

static uint64_t hash_of(const struct label_set *set) {
    uint64_t hash = 0;
    for (int i = 0; i < LABELS_MOST; i++) {
        hash = hash_text(hash, set->labels[i].key, LABEL_KEY_BYTES);
        hash = hash_text(hash, set->labels[i].value, LABEL_VALUE_BYTES);
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
        memcpy(other->labels[i].value, OTHER, sizeof OTHER);
    }
}

static uint32_t intern_locked(const struct label_set *set) {
    uint64_t hash = hash_of(set);
    uint32_t number = find(set, hash);
    if (number != 0) return number;
    if (set_count == LABEL_SETS_MOST) return LABEL_SETS_MOST;
    if (set_count == LABEL_SETS_MOST - 1) {
        make_other(set);
    } else {
        sets[set_count] = *set;
        hashes[set_count] = hash;
    }
    return atomic_fetch_add(&set_count, 1) + 1;
}

uint32_t labels_intern(const struct label_set *set) {
    plain_lock(&lock);
    uint32_t number = intern_locked(set);
    plain_unlock(&lock);
    return number;
}

// The step's slot, or the free one where it would be. Keys are told apart by where they are: of one
// text in two places the steps lead to the same set.
static inline struct step *find_step(uint32_t from, const char *key,
                                     const char value[LABEL_VALUE_BYTES]) {
    for (uint64_t i = hash_text(mix(from, (uintptr_t)key), value, LABEL_VALUE_BYTES);; i++) {
        struct step *step = &steps[i % STEP_SLOTS];
        if (atomic_load_explicit(&step->to, memory_order_acquire) == 0) return step;
        if (step->from == from && step->key == key &&
            is_equal_text(step->value, value, LABEL_VALUE_BYTES)) {
            return step;
        }
    }
}

// The set with the label in the place of one of that key, or in the order of keys: equal sets are
// equal in whatever order they were put together.
static struct label_set with_label(uint32_t from, const struct label *label) {
    struct label_set set = {0};
    if (from != 0) set = sets[from - 1];
    int place = 0;
    while (place < LABELS_MOST && set.labels[place].key[0] != '\0' &&
           strcmp(set.labels[place].key, label->key) < 0) {
        place++;
    }
    if (place == LABELS_MOST) return set;
    if (strcmp(set.labels[place].key, label->key) != 0) {
        size_t behind = (size_t)(LABELS_MOST - 1 - place);
        if (set.labels[LABELS_MOST - 1].key[0] != '\0') return set;
        memmove(&set.labels[place + 1], &set.labels[place], behind * sizeof set.labels[0]);
    }
    set.labels[place] = *label;
    return set;
}

// The set with the label, if it is there or there may be one more; 0 else.
static uint32_t intern_told_apart(uint32_t from, const struct label *label, bool is_known) {
    const struct label_set set = with_label(from, label);
    if (set_count < (is_known ? KNOWN_SETS_MOST : CLAIMED_SETS_MOST)) return intern_locked(&set);
    return find(&set, hash_of(&set));
}

static uint32_t intern_other(uint32_t from, struct label label) {
    memset(label.value, 0, sizeof label.value);
    memcpy(label.value, OTHER, sizeof OTHER);
    const struct label_set set = with_label(from, &label);
    return intern_locked(&set);
}

// Only ways to sets that were told apart are kept: the others are as many as clients like.
static void keep_step(uint32_t from, const char *key, const struct label *label, uint32_t to) {
    struct step *step = find_step(from, key, label->value);
    if (atomic_load(&step->to) != 0 || step_count == STEPS_MOST) return;
    step_count++;
    step->from = from;
    step->key = key;
    memcpy(step->value, label->value, sizeof step->value);
    atomic_store_explicit(&step->to, to, memory_order_release);
}

static NOINLINE uint32_t make_step(uint32_t from, const char *key,
                                   const char value[LABEL_VALUE_BYTES], bool is_known) {
    struct label label = {0};
    memcpy(label.key, key, strnlen(key, sizeof label.key - 1));
    memcpy(label.value, value, sizeof label.value);
    plain_lock(&lock);
    uint32_t to = intern_told_apart(from, &label, is_known);
    if (to != 0) {
        keep_step(from, key, &label, to);
    } else {
        to = intern_other(from, label);
    }
    plain_unlock(&lock);
    return to;
}

uint32_t labels_add(uint32_t number, const char *key, const char *text, size_t bytes,
                    bool is_known) {
    if (number == LABEL_SETS_MOST) return number;
    char value[LABEL_VALUE_BYTES] = {0};
    // A profile's strings are UTF-8.
    memcpy(value, text, bytes_cut_text(bytes_of(text, bytes), sizeof value - 1));
    uint32_t to = atomic_load_explicit(&find_step(number, key, value)->to, memory_order_acquire);
    return to != 0 ? to : make_step(number, key, value, is_known);
}

const struct label_set *labels_get(uint32_t number) {
    return number == 0 ? NULL : &sets[number - 1];
}
