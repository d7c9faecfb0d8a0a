// SPDX-License-Identifier: Apache-2.0
// Allocates known amounts at known places, again and again: each round has a label of its own, so
// that the profile tells them apart and the estimates of many rounds can be held against the truth.
// Each round starts the sampler anew from a seed of its own, so every run samples the same objects.
// Prints "SITE:total BYTES" and "SITE:live BYTES" of one round (all are alike), and "rounds N".
// Usage: heap ROUNDS, with PPROF_HEAP_RATE in the environment
// Link: -Wl,--wrap=_ZN8tcmalloc7Sampler4InitEm
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "pprof/pprof.h"
#include "tests/truth/program.h"

// What the allocator hands out for a size: the truth that a sampler of bytes can know.
size_t malloc_usable_size(void *block);

enum {
    SMALL_COUNT = 60000,
    MIDDLE_COUNT = 3000,
    LARGE_COUNT = 200,
    NEW_COUNT = 6000,
    KEPT_OF = 12
};

struct site {
    const char *name;
    void *(*allocate)(size_t i);
    void (*release)(void *block);  // NULL: free
    size_t count;
    size_t total_bytes, live_bytes;  // of one round
};

// Blocks that are kept hang together, so that they are in use and nobody else's.
static void *kept;
static volatile uintptr_t sink;

// The result passes through memory: a call that is the last thing a function does becomes a jump,
// and the function leaves the stack.
NOINLINE static void *small_site(size_t i) {
    void *volatile block = i % 2 == 0 ? malloc(100) : calloc(1, 100);
    return block;
}

NOINLINE static void *middle_site(size_t i) {
    void *volatile block = NULL;
    if (i % 2 == 0) {
        block = realloc(malloc(40), 5000);
    } else {
        void *aligned = NULL;
        if (posix_memalign(&aligned, 64, 5000) == 0) block = aligned;
    }
    return block;
}

NOINLINE static void *large_site(size_t i) {
    (void)i;
    void *volatile block = aligned_alloc(4096, 25 * 4096);
    return block;
}

// C++'s new and delete, by the names that a compiler calls them.
void *_Znwm(size_t size);
void _ZdlPv(void *block);

NOINLINE static void *new_site(size_t i) {
    void *volatile block = _Znwm(1000 + i % 2);
    return block;
}

// void tcmalloc::Sampler::Init(uint64_t seed) of a thread's sampler; the allocator's own seed is an
// address, which the kernel makes a different one each time.
void __real__ZN8tcmalloc7Sampler4InitEm(void *sampler, uint64_t seed);
void __wrap__ZN8tcmalloc7Sampler4InitEm(void *sampler, uint64_t seed);

static _Thread_local void *own_sampler;

void __wrap__ZN8tcmalloc7Sampler4InitEm(void *sampler, uint64_t seed) {
    own_sampler = sampler;
    __real__ZN8tcmalloc7Sampler4InitEm(sampler, seed);
}

static struct site sites[] = {
    {.name = "small_site", .allocate = small_site, .count = SMALL_COUNT},
    {.name = "middle_site", .allocate = middle_site, .count = MIDDLE_COUNT},
    {.name = "large_site", .allocate = large_site, .count = LARGE_COUNT},
    {.name = "new_site", .allocate = new_site, .release = _ZdlPv, .count = NEW_COUNT},
};

static void use_site(struct site *site) {
    site->total_bytes = site->live_bytes = 0;
    for (size_t i = 0; i < site->count; i++) {
        void **block = site->allocate(i);
        if (block == NULL) abort();
        size_t bytes = malloc_usable_size(block);
        site->total_bytes += bytes;
        sink += (uintptr_t)block;
        if (i % KEPT_OF != 0) {
            (site->release != NULL ? site->release : free)(block);
            continue;
        }
        site->live_bytes += bytes;
        *block = kept;
        kept = block;
    }
}

static void run_round(int round) {
    char text[16];
    snprintf(text, sizeof text, "%d", round);
    const struct pprof_label label = {"round", text};
    uint32_t before = pprof_labels_push(pprof_labels_intern(&label, 1));
    __real__ZN8tcmalloc7Sampler4InitEm(own_sampler, (uint64_t)round + 1);
    for (size_t i = 0; i < COUNT_OF(sites); i++) use_site(&sites[i]);
    pprof_labels_pop(before);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int rounds = atoi(argv[1]);
    program_serve();
    program_wait_for_start();
    for (int i = 0; i < rounds; i++) run_round(i);
    printf("rounds %d\n", rounds);
    for (size_t i = 0; i < COUNT_OF(sites); i++) {
        printf("%s:total %zu\n", sites[i].name, sites[i].total_bytes);
        printf("%s:live %zu\n", sites[i].name, sites[i].live_bytes);
    }
    program_end();
}
