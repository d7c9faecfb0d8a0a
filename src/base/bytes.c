// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST_CAPACITY = 64 };

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static uint64_t load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

bool bytes_are_same_long(const uint8_t *a, const uint8_t *b, size_t len) {
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= len; at += sizeof(uint64_t)) {
        if (load(a + at) != load(b + at)) return false;
    }
    if (len >= sizeof(uint64_t)) {  // the last word overlaps the one before
        at = len - sizeof(uint64_t);
        return load(a + at) == load(b + at);
    }
    while (at != len && a[at] == b[at]) at++;
    return at == len;
}

bool bytes_equal_ignoring_case(struct bytes a, struct bytes b) {
    if (a.len != b.len) return false;
    if (bytes_are_same(a.data, b.data, a.len)) return true;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) return false;
    }
    return true;
}

void buffer_done(struct buffer *buffer) {
    if (buffer == NULL) return;
    if (buffer->resize == NULL) {
        free(buffer->data);
    } else if (buffer->data != NULL) {
        buffer->resize(buffer->data, buffer->capacity, 0);
    }
    *buffer = (struct buffer){.limit = buffer->limit, .resize = buffer->resize};
}

enum status buffer_grow(struct buffer *buffer, size_t extra, uint8_t **ret_room) {
    size_t limit = buffer->limit != 0 ? buffer->limit : SIZE_MAX / 2;
    if (extra > limit || buffer->len > limit - extra) return STATUS_TOO_LARGE;
    size_t wanted = buffer->len + extra;
    size_t capacity = buffer->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY
                                                           : buffer->capacity * 2;
    if (capacity > limit) capacity = limit;
    if (capacity < wanted) capacity = wanted;
    uint8_t *data = buffer->resize != NULL
                        ? buffer->resize(buffer->data, buffer->capacity, capacity)
                        : realloc(buffer->data, capacity);
    if (data == NULL) return STATUS_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    *ret_room = data + buffer->len;
    return STATUS_OK;
}

enum status buffer_append_text(struct buffer *buffer, const char *text) {
    return buffer_append(buffer, bytes_of_text(text));
}

enum status buffer_append_byte(struct buffer *buffer, uint8_t byte) {
    return buffer_append(buffer, bytes_of(&byte, 1));
}

enum status buffer_append_format(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(len >= 0);
    uint8_t *room;
    enum status status = buffer_reserve(buffer, (size_t)len + 1,
                                        &room);  // vsnprintf writes a NUL behind
    if (status != STATUS_OK) return status;
    va_start(arguments, format);
    vsnprintf((char *)room, (size_t)len + 1, format, arguments);
    va_end(arguments);
    buffer->len += (size_t)len;
    return STATUS_OK;
}

void buffer_remove_front(struct buffer *buffer, size_t count) {
    assert(count <= buffer->len);
    if (count == 0) return;
    memmove(buffer->data, buffer->data + count, buffer->len - count);
    buffer->len -= count;
}
