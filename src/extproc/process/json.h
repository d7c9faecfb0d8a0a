// SPDX-License-Identifier: Apache-2.0
// JSON text into yyjson's tree, all memory from an arena. Strict RFC 8259 with checked UTF-8;
// numbers that fit no C type stay text, so that no number is an error.
#pragma once

#include <yyjson.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

// Zero bytes that json_read_in_place needs behind the text.
enum { JSON_PADDING = YYJSON_PADDING_SIZE };

struct yyjson_alc json_allocator(struct arena *arena);

// Works in the text itself (it is garbage afterwards) and the tree points into it: a string starts
// where its opening quote ended. Tree and strings live as long as text and arena.
// STATUS_MALFORMED, STATUS_NO_MEMORY: `ret_fault` says what and at which byte.
MUST_USE enum status json_read_in_place(uint8_t *text, size_t length, struct arena *arena,
                                        struct fault *ret_fault, yyjson_val **ret_root);

// The same on a copy.
MUST_USE enum status json_read(struct bytes text, struct arena *arena, struct fault *ret_fault,
                               yyjson_val **ret_root);
