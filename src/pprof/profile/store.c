// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/store.h"

#include <stdbool.h>
#include <string.h>

enum { FIRST_SLOT_COUNT = 256 };

// FNV-1a over words instead of bytes, finished by the mixer of MurmurHash3: addresses differ in few
// bits, and the slot is taken from the low ones.
static uint64_t mix(uint64_t hash, uint64_t word) {
    return (hash ^ word) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(const struct sample_key *key) {
    uint64_t thread[THREAD_NAME_BYTES / sizeof(uint64_t)];
    memcpy(thread, key->thread, sizeof thread);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < key->depth; i++) hash = mix(hash, key->addresses[i]);
    hash = mix(hash, key->labels);
    hash = mix(hash, key->size_bytes);
    hash = mix(hash, (uintptr_t)key->state);
    for (size_t i = 0; i < COUNT_OF(thread); i++) hash = mix(hash, thread[i]);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 33;
}

static bool is_equal(const struct sample_key *a, const struct sample_key *b) {
    return a->depth == b->depth && a->labels == b->labels && a->size_bytes == b->size_bytes &&
           a->state == b->state && a->has_names == b->has_names &&
           memcmp(a->thread, b->thread, THREAD_NAME_BYTES) == 0 &&
           (a->depth == 0 ||
            memcmp(a->addresses, b->addresses, a->depth * sizeof a->addresses[0]) == 0);
}

static struct sample **find_slot(struct sample **slots, uint32_t count, uint64_t hash,
                                 const struct sample_key *key) {
    for (uint32_t i = (uint32_t)hash;; i++) {
        struct sample **slot = &slots[i & (count - 1)];
        if (*slot == NULL) return slot;
        if ((*slot)->hash == hash && is_equal(&(*slot)->key, key)) return slot;
    }
}

// At most three quarters full. The old slots stay in the pool: they add up to less than the new.
static bool make_room(struct store *store) {
    if (store->slot_count != 0 && store->sample_count < store->slot_count / 4 * 3) return true;
    uint32_t count = store->slot_count == 0 ? FIRST_SLOT_COUNT : store->slot_count * 2;
    struct sample **slots = pool_allocate(&store->pool, count * sizeof *slots);
    if (slots == NULL) return false;
    for (struct sample *sample = store->first; sample != NULL; sample = sample->next) {
        *find_slot(slots, count, sample->hash, &sample->key) = sample;
    }
    store->slots = slots;
    store->slot_count = count;
    return true;
}

struct sample *store_find(struct store *store, const struct sample_key *key) {
    uint64_t hash = hash_of(key);
    if (store->slot_count != 0) {
        struct sample *known = *find_slot(store->slots, store->slot_count, hash, key);
        if (known != NULL) return known;  // also where there is no memory for another
    }
    if (!make_room(store)) return NULL;
    struct sample **slot = find_slot(store->slots, store->slot_count, hash, key);

    size_t address_bytes = key->depth * sizeof key->addresses[0];
    struct sample *sample = pool_allocate(&store->pool, sizeof *sample + address_bytes);
    if (sample == NULL) return NULL;
    uintptr_t *addresses = (uintptr_t *)(sample + 1);
    if (address_bytes != 0) memcpy(addresses, key->addresses, address_bytes);
    sample->key = *key;
    sample->key.addresses = addresses;
    sample->hash = hash;
    *slot = sample;
    store->sample_count++;
    if (store->last != NULL) {
        store->last->next = sample;
    } else {
        store->first = sample;
    }
    store->last = sample;
    return sample;
}

enum status store_add(struct store *store, const struct sample_key *key,
                      const int64_t values[SAMPLE_VALUES]) {
    struct sample *sample = store_find(store, key);
    if (sample == NULL) return STATUS_NO_MEMORY;
    for (int i = 0; i < SAMPLE_VALUES; i++) sample->values[i] += values[i];
    return STATUS_OK;
}

void store_done(struct store *store) {
    pool_done(&store->pool);
    *store = (struct store){.pool = store->pool};
}
