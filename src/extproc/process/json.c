// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/json.h"

#include <string.h>

static void *allocate(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

static void *grow(void *arena, void *old, size_t old_size, size_t size) {
    if (size <= old_size) return old;
    return arena_grow(arena, old, old_size, size);
}

static void release(void *arena, void *memory) {
    (void)arena;
    (void)memory;
}

struct yyjson_alc json_allocator(struct arena *arena) {
    return (struct yyjson_alc){
        .malloc = allocate,
        .realloc = grow,
        .free = release,
        .ctx = arena,
    };
}

enum status json_read(struct bytes text, struct arena *arena, struct fault *ret_fault,
                      yyjson_val **ret_root) {
    const struct yyjson_alc allocator = json_allocator(arena);
    yyjson_read_err error;
    // The reader writes into its input only if it is told to (YYJSON_READ_INSITU).
    yyjson_doc *document = yyjson_read_opts((char *)(uintptr_t)text.data, text.len,
                                            YYJSON_READ_BIGNUM_AS_RAW, &allocator, &error);
    if (document != NULL) {
        *ret_root = yyjson_doc_get_root(document);
        return STATUS_OK;
    }
    bool is_memory = error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    *ret_fault = (struct fault){
        .status = is_memory ? STATUS_NO_MEMORY : STATUS_MALFORMED,
        .offset = error.pos,
        .what = error.msg,
    };
    return ret_fault->status;
}
