// SPDX-License-Identifier: Apache-2.0
// Compiler attributes under readable names: the one place where the compiler or the build variant
// is asked.
#pragma once

#define MUST_USE __attribute__((warn_unused_result))
#define NOINLINE __attribute__((noinline))
#define PRINTF_LIKE(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))
#define CLEANUP(function) __attribute__((cleanup(function)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
// So seldom that a branch, over which a processor looks ahead, beats arithmetic, for which it
// waits.
#define RARELY(x) __builtin_expect_with_probability(!!(x), 1, 0.01)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// A local array that the build's -ftrivial-auto-var-init shall not clear: large, and written before
// it is read.
#define UNINITIALIZED __attribute__((uninitialized))

// A bit for each of the 16 bytes that a comparison of vectors gave, the first byte's the lowest.
// x86-64 has an instruction for it; elsewhere a product collects the bits of each half.
// Little-endian, as all machines are that this is built for.
#ifdef __SSE2__
#define LANE_BITS(lanes)                                                                           \
    ((unsigned)__builtin_ia32_pmovmskb128((char __attribute__((vector_size(16))))(lanes)))
#else
#define LANE_BITS(lanes)                                                                           \
    (__extension__({                                                                               \
        __typeof__(lanes) lanes_ = (lanes);                                                        \
        unsigned long long halves_[2];                                                             \
        __builtin_memcpy(halves_, &lanes_, sizeof(halves_));                                       \
        LANE_HALF_BITS(halves_[0]) | LANE_HALF_BITS(halves_[1]) << 8;                              \
    }))
#define LANE_HALF_BITS(half)                                                                       \
    ((unsigned)(((half)&0x8040201008040201ull) * 0x0101010101010101ull >> 56))
#endif

// Reads of other frames of the own stack are what a stack walker does: AddressSanitizer is told not
// to look.
#define NO_SANITIZE_ADDRESS __attribute__((no_sanitize("address")))

// What runs before the stack protector's value is set.
#define NO_STACK_PROTECTOR __attribute__((no_stack_protector))

// AddressSanitizer sees the use of freed memory only if it is freed, not kept for the next.
#ifdef __SANITIZE_ADDRESS__
#define HAS_ADDRESS_SANITIZER 1
#else
#define HAS_ADDRESS_SANITIZER 0
#endif

// ThreadSanitizer keeps a signal back until the thread calls something that it knows: what a
// handler does comes late then.
#ifdef __SANITIZE_THREAD__
#define HAS_THREAD_SANITIZER 1
#else
#define HAS_THREAD_SANITIZER 0
#endif

// The product is built against musl, sanitizers against glibc, whose features.h says so.
#include <features.h>
#ifdef __GLIBC__
#define HAS_PRODUCT_LIBC 0
#else
#define HAS_PRODUCT_LIBC 1
#endif
