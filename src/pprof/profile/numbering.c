// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/numbering.h"

enum { FIRST_SLOT_COUNT = 256 };

struct numbered_key {
    uint64_t hash;
    uint32_t number;
    struct bytes key;
};

static uint64_t hash_of(struct bytes key) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);  // FNV-1a
    for (size_t i = 0; i < key.len; i++) hash = (hash ^ key.data[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static struct numbered_key **find_slot(struct numbered_key **slots, uint32_t count, uint64_t hash,
                                       struct bytes key) {
    for (uint32_t i = (uint32_t)hash;; i++) {
        struct numbered_key **slot = &slots[i & (count - 1)];
        if (*slot == NULL) return slot;
        if ((*slot)->hash == hash && bytes_equal((*slot)->key, key)) return slot;
    }
}

// At most three quarters full. What was there before stays in the pool: less than the new in all.
static enum status make_room(struct numbering *numbering) {
    if (numbering->slot_count != 0 && numbering->count < numbering->slot_count / 4 * 3) {
        return STATUS_OK;
    }
    uint32_t slot_count = numbering->slot_count == 0 ? FIRST_SLOT_COUNT : numbering->slot_count * 2;
    size_t bytes = slot_count * sizeof *numbering->slots;
    struct numbered_key **slots = pool_allocate(&numbering->pool, bytes);
    struct numbered_key **order = pool_allocate(&numbering->pool, bytes);
    if (slots == NULL || order == NULL) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < numbering->count; i++) {
        struct numbered_key *known = numbering->order[i];
        order[i] = known;
        *find_slot(slots, slot_count, known->hash, known->key) = known;
    }
    numbering->slots = slots;
    numbering->order = order;
    numbering->slot_count = slot_count;
    return STATUS_OK;
}

enum status numbering_find(struct numbering *numbering, struct bytes key, uint32_t *ret_number) {
    uint64_t hash = hash_of(key);
    if (numbering->slot_count != 0) {
        const struct numbered_key *known = *find_slot(numbering->slots, numbering->slot_count, hash,
                                                      key);
        if (known != NULL) {
            *ret_number = known->number;
            return STATUS_OK;
        }
    }
    enum status status = make_room(numbering);
    if (status != STATUS_OK) return status;
    struct numbered_key *fresh = pool_allocate(&numbering->pool, sizeof *fresh + key.len);
    if (fresh == NULL) return STATUS_NO_MEMORY;
    if (key.len != 0) memcpy(fresh + 1, key.data, key.len);
    *fresh = (struct numbered_key){
        .hash = hash, .number = numbering->count, .key = bytes_of(fresh + 1, key.len)};
    *find_slot(numbering->slots, numbering->slot_count, hash, key) = fresh;
    numbering->order[numbering->count++] = fresh;
    *ret_number = fresh->number;
    return STATUS_OK;
}

struct bytes numbering_key(const struct numbering *numbering, uint32_t number) {
    return numbering->order[number]->key;
}

void numbering_done(struct numbering *numbering) {
    pool_done(&numbering->pool);
    *numbering = (struct numbering){.pool = numbering->pool};
}
