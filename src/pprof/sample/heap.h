// SPDX-License-Identifier: Apache-2.0
// The heap and allocs profiles: tcmalloc samples one allocation for each PPROF_HEAP_RATE bytes on
// average and tells us of it, and of its free. Each sampled stack and size keeps four numbers:
// objects and bytes allocated ever, and those still in use. Nothing is lost: a sampled object
// carries its record until it is freed. See DESIGN.md for the mathematics.
#pragma once

#include "pprof/profile/source.h"

enum {
    HEAP_VALUE_ALLOC_OBJECTS,
    HEAP_VALUE_ALLOC_BYTES,
    HEAP_VALUE_INUSE_OBJECTS,
    HEAP_VALUE_INUSE_BYTES
};

enum { HEAP_DEFAULT_RATE = 512 << 10 };

extern const struct source heap_source, allocs_source;

// Mean distance of samples in bytes; 0: off. From PPROF_HEAP_RATE, before main: it cannot change.
int64_t heap_rate(void);

// Samples that no memory was had for, since the start. Context: any thread.
uint64_t heap_refused_count(void);
