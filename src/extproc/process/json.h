// SPDX-License-Identifier: Apache-2.0
// JSON text into yyjson's tree, all memory from an arena. Strict RFC 8259 with checked UTF-8;
// numbers that fit no C type stay text, so that no number is an error.
#pragma once

#include <yyjson.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

struct yyjson_alc json_allocator(struct arena *arena);

// The tree and its strings live as long as the arena. STATUS_MALFORMED, STATUS_NO_MEMORY:
// `ret_fault` says what and at which byte.
MUST_USE enum status json_read(struct bytes text, struct arena *arena, struct fault *ret_fault,
                               yyjson_val **ret_root);
