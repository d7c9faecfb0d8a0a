// SPDX-License-Identifier: Apache-2.0
// Fills its container's memory to the brim, with sampled allocations of many distinct stacks, and
// stays to be asked. Prints "room BYTES", what is left below the limit.
// Usage: limit STACKS USAGE_FILE LIMIT_BYTES, with PPROF_HEAP_RATE=1 in the environment
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/attributes.h"
#include "tests/truth/program.h"

enum { DEPTH = 20, STEP_BYTES = 4 << 10, LEFT_BYTES = 64 << 10 };

// As many distinct stacks as the bits of `path` give: each level is one of two calls.
NOINLINE static void *allocate_at(unsigned path, int depth);
NOINLINE static void *left(unsigned path, int depth) {
    void *volatile block = allocate_at(path, depth);
    return block;
}
NOINLINE static void *right(unsigned path, int depth) {
    void *volatile block = allocate_at(path, depth);
    return block;
}
NOINLINE static void *allocate_at(unsigned path, int depth) {
    void *volatile block = depth == 0        ? malloc(64)
                           : (path & 1) != 0 ? left(path >> 1, depth - 1)
                                             : right(path >> 1, depth - 1);
    return block;
}

static long long read_usage(const char *path) {
    char text[32] = "";
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL) exit(2);
    fclose(file);
    return atoll(text);
}

// Page by page: the first one too many would be the end.
static void fill(const char *usage_file, long long limit) {
    char *memory = mmap(NULL, (size_t)limit, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) exit(2);
    madvise(memory, (size_t)limit, MADV_NOHUGEPAGE);
    long long usage;
    while ((usage = read_usage(usage_file)) + LEFT_BYTES < limit) {
        memset(memory, 1, STEP_BYTES);
        memory += STEP_BYTES;
    }
    printf("room %lld\n", limit - usage);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    program_serve();
    program_wait_for_start();
    for (unsigned i = 0; i < (unsigned)atoi(argv[1]); i++) {
        if (allocate_at(i, DEPTH) == NULL) return 2;
    }
    fill(argv[2], atoll(argv[3]));
    program_end();
}
