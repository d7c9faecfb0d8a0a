// SPDX-License-Identifier: Apache-2.0
// What nghttp2 allocates: blocks that it gives back are kept for the next of about their size, so
// that requests of the usual kind come and go without malloc. One a session.
#pragma once

#include <nghttp2/nghttp2.h>
#include <stddef.h>

// Sizes double from one class to the next.
enum { MEMORY_CLASSES = 7 };

struct memory_block;

// All-zero: nothing is kept.
struct memory {
    struct memory_block *kept[MEMORY_CLASSES];
    size_t kept_bytes;
};

// As nghttp2 takes it; refers to `memory`.
nghttp2_mem memory_functions(struct memory *memory);

// Frees what is kept.
void memory_done(struct memory *memory);
