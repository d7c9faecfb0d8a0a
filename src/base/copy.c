// SPDX-License-Identifier: Apache-2.0
// Short copies, which are most of all: nghttp2 puts headers and frames together of pieces of a few
// bytes. musl's memcpy takes the same ten nanoseconds for them as for a hundred bytes, because it
// begins with an instruction that pays for long copies. The linker puts this in its place
// (--wrap, Makefile), also where libraries call it. Context: any thread, signal, before
// main: musl copies the first thread's memory with it, so there is no stack protector yet.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"

enum { SHORT_MOST_BYTES = 64 };

void *__real_memcpy(void *restrict to, const void *restrict from, size_t len);
void *__wrap_memcpy(void *restrict start, const void *restrict source, size_t len);

// Of any address, and over any type.
#define LOOSE __attribute__((aligned(1), may_alias))
typedef uint16_t two_bytes LOOSE;
typedef uint32_t four_bytes LOOSE;
typedef uint64_t eight_bytes LOOSE;
typedef uint8_t sixteen_bytes __attribute__((vector_size(16), aligned(1), may_alias));

// The first and the last bytes, as many as `type` has: all, where there are at most twice as many.
// The two may overlap.
#define COPY_ENDS(type, to, from, len)                                                             \
    do {                                                                                           \
        type first = *(const type *)(from);                                                        \
        type last = *(const type *)((from) + (len) - sizeof(type));                                \
        *(type *)(to) = first;                                                                     \
        *(type *)((to) + (len) - sizeof(type)) = last;                                             \
    } while (0)

NO_STACK_PROTECTOR void *__wrap_memcpy(void *restrict start, const void *restrict source,
                                       size_t len) {
    char *to = start;
    const char *from = source;
    if (len > SHORT_MOST_BYTES) return __real_memcpy(start, source, len);
    if (len >= 32) {
        COPY_ENDS(sixteen_bytes, to, from, 32);
        COPY_ENDS(sixteen_bytes, to + len - 32, from + len - 32, 32);
    } else if (len >= 16) {
        COPY_ENDS(sixteen_bytes, to, from, len);
    } else if (len >= 8) {
        COPY_ENDS(eight_bytes, to, from, len);
    } else if (len >= 4) {
        COPY_ENDS(four_bytes, to, from, len);
    } else if (len >= 2) {
        COPY_ENDS(two_bytes, to, from, len);
    } else if (len == 1) {
        *to = *from;
    }
    return start;
}
