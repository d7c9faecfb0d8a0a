// SPDX-License-Identifier: Apache-2.0
// What the heap profile uses of gperftools' tcmalloc. All of it is weak: a program that is linked
// with another allocator, as the sanitizers are, has a heap profile without samples.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WEAK __attribute__((weak))

// gperftools/tcmalloc.h: the size that an allocation of `size` bytes really takes.
extern size_t tc_nallocx(size_t size, int flags) WEAK;

// gperftools/malloc_extension_c.h
extern int MallocExtension_GetNumericProperty(const char *property, size_t *value) WEAK;
extern void MallocExtension_ReleaseFreeMemory(void) WEAK;

// The section that holds the functions through which allocations enter the allocator; the linker
// names its ends.
extern const char __start_google_malloc[] WEAK, __stop_google_malloc[] WEAK;

// Ours, by image/patches: called for each sampled allocation and free. Null until they are set.
extern void *(*pprof_heap_on_sampled_alloc)(const void *object, size_t size, void *const *stack,
                                            int depth)WEAK;
extern void (*pprof_heap_on_sampled_free)(void *record, size_t size) WEAK;

// Defined by us, asked once by the allocator at its first use: the mean distance of samples, 0:
// off.
int64_t pprof_heap_sampling_rate(void);
