// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <yyjson.h>

static const struct refusal_row rows[] = {
#define ROW(kind, status, code, type, param, metric)                                               \
    [kind] = {status, code, "extproc_" code, type, param, metric},
    REFUSAL_TABLE(ROW)
#undef ROW
};

const struct refusal_row *refusal_row(enum refusal_kind kind) {
    assert(kind > REFUSAL_NONE && kind < COUNT_OF(rows));
    return &rows[kind];
}

void refusal_set(struct refusal *ret_refusal, enum refusal_kind kind, const char *format, ...) {
    ret_refusal->kind = kind;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_refusal->message, sizeof(ret_refusal->message), format, arguments);
    va_end(arguments);
}

static void *allocate(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

static void *grow(void *arena, void *old, size_t old_size, size_t size) {
    return size <= old_size ? old : arena_grow(arena, old, old_size, size);
}

static void release(void *arena, void *memory) {
    (void)arena;
    (void)memory;
}

enum status refusal_encode(const struct refusal *refusal, struct arena *arena,
                           struct bytes *ret_body) {
    const struct refusal_row *row = refusal_row(refusal->kind);
    const struct yyjson_alc allocator = {allocate, grow, release, arena};
    yyjson_mut_doc *document = yyjson_mut_doc_new(&allocator);
    if (document == NULL) return STATUS_NO_MEMORY;
    yyjson_mut_val *root = yyjson_mut_obj(document);
    yyjson_mut_doc_set_root(document, root);
    yyjson_mut_val *error = yyjson_mut_obj_add_obj(document, root, "error");
    yyjson_mut_val *param = row->param != NULL ? yyjson_mut_str(document, row->param)
                                               : yyjson_mut_null(document);
    bool is_complete = yyjson_mut_obj_add_str(document, error, "message", refusal->message) &&
                       yyjson_mut_obj_add_str(document, error, "type", row->type) &&
                       yyjson_mut_obj_add_val(document, error, "param", param) &&
                       yyjson_mut_obj_add_str(document, error, "code", row->code);
    if (!is_complete) return STATUS_NO_MEMORY;
    size_t length;
    const char *text = yyjson_mut_write_opts(document, YYJSON_WRITE_NOFLAG, &allocator, &length,
                                             NULL);
    if (text == NULL) return STATUS_NO_MEMORY;
    *ret_body = bytes_of(text, length);
    return STATUS_OK;
}
