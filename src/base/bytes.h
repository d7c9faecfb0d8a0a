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

// bytes_are_same, where the compiler does not know how many they are.
bool bytes_are_same_long(const uint8_t *a, const uint8_t *b, size_t len);

// Whether so many bytes are the same. For short ones, where libc's memcmp goes byte by byte; a
// literal's are compared without a call.
static inline bool bytes_are_same(const uint8_t *a, const uint8_t *b, size_t len) {
    if (__builtin_constant_p(len) && len != 0 && len <= 32) return __builtin_memcmp(a, b, len) == 0;
    return bytes_are_same_long(a, b, len);
}

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
    // may be set, in place of malloc: makes memory of `from` bytes (0: none yet) larger, or frees
    // it where `to` is 0. NULL: refused, and as it was; STATUS_NO_MEMORY then
    void *(*resize)(void *data, size_t from, size_t to);
};

// Frees the memory; the buffer is then empty and usable again. Accepts NULL.
void buffer_done(struct buffer *buffer);

// buffer_reserve, where there is no room yet.
MUST_USE enum status buffer_grow(struct buffer *buffer, size_t extra, uint8_t **ret_room);

// Makes room for `extra` bytes behind `len` and hands out their start; `len` stays. Growing is
// amortised constant. STATUS_TOO_LARGE past the limit, STATUS_NO_MEMORY; the buffer is unchanged
// then.
MUST_USE static inline enum status buffer_reserve(struct buffer *buffer, size_t extra,
                                                  uint8_t **ret_room) {
    bool has_room = buffer->data != NULL && extra <= buffer->capacity - buffer->len;
    bool is_allowed = buffer->limit == 0 || buffer->len + extra <= buffer->limit;
    if (UNLIKELY(!has_room || !is_allowed)) return buffer_grow(buffer, extra, ret_room);
    *ret_room = buffer->data + buffer->len;
    return STATUS_OK;
}

// Appends; on failure nothing was appended.
MUST_USE static inline enum status buffer_append(struct buffer *buffer, struct bytes bytes) {
    uint8_t *room;
    enum status status = buffer_reserve(buffer, bytes.len, &room);
    if (status != STATUS_OK) return status;
    if (bytes.len != 0) memcpy(room, bytes.data, bytes.len);
    buffer->len += bytes.len;
    return STATUS_OK;
}

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
