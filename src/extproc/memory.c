// SPDX-License-Identifier: Apache-2.0
#include "extproc/memory.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "base/cgroup.h"

// "max", or a number; version 1 says a number that no machine has where there is no limit.
static size_t parse(const char *text) {
    char *end;
    unsigned long long limit = strtoull(text, &end, 10);
    return end == text || limit > INT64_MAX / 2 ? SIZE_MAX : (size_t)limit;
}

static bool take_least(const char *folder, void *context) {
    static const char *const files[] = {"memory.max", "memory.limit_in_bytes"};
    size_t *least = context;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char text[CGROUP_TEXT_BYTES];
        if (!cgroup_read(folder, files[i], text)) continue;
        size_t limit = parse(text);
        if (limit < *least) *least = limit;
    }
    return true;
}

size_t memory_limit_bytes(void) {
    size_t least = SIZE_MAX;
    cgroup_visit("memory", take_least, &least);
    return least;
}
