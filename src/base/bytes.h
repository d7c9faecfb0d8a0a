// SPDX-License-Identifier: Apache-2.0
// The two ways to hold bytes: `struct bytes` borrows a range, `struct buffer` owns one and grows up
// to a limit. Neither is NUL-terminated unless a function says so.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

// A borrowed range. It lives as long as what it points into; the function that hands one out says
// how long that is.
struct bytes {
    const uint8_t *data;
    size_t len;
};

#define BYTES_EMPTY ((struct bytes){NULL, 0})
#define BYTES_LITERAL(text) ((struct bytes){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct bytes bytes_of(const void *data, size_t len) {
    return (struct bytes){data, len};
}

// The characters of a C string without its NUL.
static inline struct bytes bytes_of_text(const char *text) {
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

// Whether so many bytes are the same. For short ones, where libc's memcmp goes byte by byte.
bool bytes_are_same(const uint8_t *a, const uint8_t *b, size_t len);

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && bytes_are_same(a.data, b.data, a.len);
}

// How much of a text in UTF-8 fits into so many bytes without half a character.
static inline size_t bytes_cut_text(struct bytes text, size_t most) {
    if (text.len <= most) return text.len;
    while (most > 0 && (text.data[most] & 0xc0) == 0x80) most--;
    return most;
}

static inline bool bytes_start_with(struct bytes whole, struct bytes start) {
    return whole.len >= start.len && bytes_are_same(whole.data, start.data, start.len);
}

// Equal but for the case of ASCII letters.
bool bytes_equal_ignoring_case(struct bytes a, struct bytes b);

// A growing range that owns its memory. All-zero but for what is marked is a valid empty buffer.
struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    // may be set: growth beyond it is refused with STATUS_TOO_LARGE (0: no limit of its own)
    size_t limit;
    // may be set: asked before so many bytes are allocated; false: STATUS_NO_MEMORY
    bool (*may_allocate)(size_t bytes);
};

// Frees the memory; the buffer is then empty and usable again. Accepts NULL.
void buffer_done(struct buffer *buffer);

// Makes room for `extra` bytes behind `len` and hands out their start; `len` stays. Growing is
// amortised constant. STATUS_TOO_LARGE past the limit, STATUS_NO_MEMORY; the buffer is unchanged
// then.
MUST_USE enum status buffer_reserve(struct buffer *buffer, size_t extra, uint8_t **ret_room);

// Appends; on failure nothing was appended.
MUST_USE enum status buffer_append(struct buffer *buffer, struct bytes bytes);
MUST_USE enum status buffer_append_text(struct buffer *buffer, const char *text);
MUST_USE enum status buffer_append_byte(struct buffer *buffer, uint8_t byte);
MUST_USE enum status buffer_append_format(struct buffer *buffer, const char *format, ...)
    PRINTF_LIKE(2, 3);

// Removes the first `count` bytes (count <= len) by moving the rest to the front. O(len).
void buffer_remove_front(struct buffer *buffer, size_t count);

// The content as a borrow; it lives until the buffer changes.
static inline struct bytes buffer_bytes(const struct buffer *buffer) {
    return (struct bytes){buffer->data, buffer->len};
}
