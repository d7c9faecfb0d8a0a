// SPDX-License-Identifier: Apache-2.0
#include "extproc/http2/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"

enum {
    LEAST_BYTES = 64,  // of the first class, head included
    KEPT_MOST_BYTES = HAS_ADDRESS_SANITIZER ? 0 : 256 << 10,
};

// In front of what nghttp2 gets.
struct memory_block {
    _Alignas(max_align_t) struct memory_block *next;  // of those kept
    size_t size;                                      // head included
};

// MEMORY_CLASSES: too large for any.
static unsigned class_of(size_t size) {
    unsigned class = 0;
    while (class < MEMORY_CLASSES && size > (size_t)LEAST_BYTES << class) class ++;
    return class;
}

static void *allocate(size_t size, void *user_data) {
    struct memory *memory = user_data;
    if (size > SIZE_MAX / 2) return NULL;
    size += sizeof(struct memory_block);
    unsigned class = class_of(size);
    struct memory_block *block = class < MEMORY_CLASSES ? memory->kept[class] : NULL;
    if (block != NULL) {
        memory->kept[class] = block->next;
        memory->kept_bytes -= block->size;
        return block + 1;
    }
    if (class < MEMORY_CLASSES) size = (size_t)LEAST_BYTES << class;
    block = malloc(size);
    if (block == NULL) return NULL;
    block->size = size;
    return block + 1;
}

static void release(void *content, void *user_data) {
    struct memory *memory = user_data;
    if (content == NULL) return;
    struct memory_block *block = (struct memory_block *)content - 1;
    unsigned class = class_of(block->size);
    if (class == MEMORY_CLASSES || memory->kept_bytes + block->size > KEPT_MOST_BYTES) {
        free(block);
        return;
    }
    block->next = memory->kept[class];
    memory->kept[class] = block;
    memory->kept_bytes += block->size;
}

static void *allocate_zeros(size_t count, size_t size, void *user_data) {
    if (size != 0 && count > SIZE_MAX / 2 / size) return NULL;
    void *content = allocate(count * size, user_data);
    if (content != NULL) memset(content, 0, count * size);
    return content;
}

static void *resize(void *content, size_t size, void *user_data) {
    if (content == NULL) return allocate(size, user_data);
    size_t held = ((struct memory_block *)content - 1)->size - sizeof(struct memory_block);
    if (size <= held) return content;
    void *moved = allocate(size, user_data);
    if (moved == NULL) return NULL;
    memcpy(moved, content, held);
    release(content, user_data);
    return moved;
}

nghttp2_mem memory_functions(struct memory *memory) {
    return (nghttp2_mem){
        .mem_user_data = memory,
        .malloc = allocate,
        .free = release,
        .calloc = allocate_zeros,
        .realloc = resize,
    };
}

void memory_done(struct memory *memory) {
    for (unsigned class = 0; class < MEMORY_CLASSES; class ++) {
        while (memory->kept[class] != NULL) {
            struct memory_block *next = memory->kept[class]->next;
            free(memory->kept[class]);
            memory->kept[class] = next;
        }
    }
    memory->kept_bytes = 0;
}
