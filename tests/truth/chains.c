// SPDX-License-Identifier: Apache-2.0
// Runs known call chains through everything that makes stacks hard: leaves without a frame,
// assembly, callbacks from libc, the allocator, system calls, the vDSO, zlib. Each chain is
// NAME_outer -> NAME_inner -> … in a thread named NAME that starts in run_chain.
// Prints "chain:NAME 1" for each that was run.
// Usage: chains CPU_SECONDS_EACH
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "tests/truth/program.h"

enum { BIG_BYTES = 8 << 20, SORTED = 20000 };

static char *big_to, *big_from;
static int zero_fd;
static int64_t each_ns;
static volatile unsigned long sink;
static volatile size_t small_size = 48;

// Keeps a call from becoming a jump, which would take the caller's frame away for good.
#define KEEP_FRAME() __asm__ volatile("")

// A chain: `body` is what NAME_inner does.
#define CHAIN(name, body)                                                                          \
    NOINLINE static void name##_inner(void) {                                                      \
        body;                                                                                      \
        KEEP_FRAME();                                                                              \
    }                                                                                              \
    NOINLINE static void name##_outer(void) {                                                      \
        name##_inner();                                                                            \
        KEEP_FRAME();                                                                              \
    }

NOINLINE static int tiny(int x) {
    return x * 3 + 1;
}

static int compare(const void *a, const void *b) {
    int x = *(const int *)a;
    int y = *(const int *)b;
    return (x > y) - (x < y);
}

static void compute(void) {
    unsigned long word = 1;
    for (int i = 0; i < 20000; i++) word = word * 6364136223846793005UL + 1;
    sink += word;
}

static void call_tiny(void) {
    int x = 0;
    for (int i = 0; i < 5000; i++) x = tiny(x);
    sink += (unsigned long)x;
}

static void sort(void) {
    static _Thread_local int numbers[SORTED];
    for (int i = 0; i < SORTED; i++) numbers[i] = (int)((unsigned)i * 2654435761U);
    qsort(numbers, SORTED, sizeof numbers[0], compare);
}

static void copy_small(void) {
    for (int i = 0; i < 5000; i++) memcpy(big_to + i * 64, big_from + i * 64, small_size);
}

static void format(void) {
    char text[200];
    for (int i = 0; i < 500; i++) snprintf(text, sizeof text, "%d %s %f", i, "x", i * 1.5);
    sink += (unsigned char)text[0];
}

static void allocate(void) {
    void *volatile blocks[64];
    for (int k = 0; k < 50; k++) {
        for (int i = 0; i < 64; i++) blocks[i] = malloc((size_t)i * 40 + 8);
        for (int i = 0; i < 64; i++) free(blocks[i]);
    }
}

static void ask_kernel(void) {
    for (int i = 0; i < 500; i++) syscall(SYS_getppid);
}

static void read_zeros(void) {
    ssize_t got = read(zero_fd, big_to, 1 << 20);
    sink += (unsigned long)got;
}

static void read_clock(void) {
    for (int i = 0; i < 3000; i++) sink += (unsigned long)clock_monotonic_ns();
}

static void squeeze(void) {
    uLongf size = 1 << 20;
    compress2((Bytef *)big_to, &size, (Bytef *)big_from, 200000, 6);
}

CHAIN(compute, compute())
CHAIN(leaf, call_tiny())
CHAIN(sort, sort())
CHAIN(copy_big, memcpy(big_to, big_from, BIG_BYTES))
CHAIN(copy_small, copy_small())
CHAIN(format, format())
CHAIN(allocate, allocate())
CHAIN(kernel, ask_kernel())
CHAIN(read, read_zeros())
CHAIN(clock, read_clock())
CHAIN(zlib, squeeze())

static const struct chain {
    const char *name;
    void (*outer)(void);
} chains[] = {
    {"compute", compute_outer},
    {"leaf", leaf_outer},
    {"sort", sort_outer},
    {"copy_big", copy_big_outer},
    {"copy_small", copy_small_outer},
    {"format", format_outer},
    {"allocate", allocate_outer},
    {"kernel", kernel_outer},
    {"read", read_outer},
    {"clock", clock_outer},
    {"zlib", zlib_outer},
};

NOINLINE static void *run_chain(void *argument) {
    const struct chain *chain = argument;
    pthread_setname_np(pthread_self(), chain->name);
    int64_t until = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) + each_ns;
    while (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) < until) {
        chain->outer();
        KEEP_FRAME();
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    program_serve();
    each_ns = (int64_t)(strtod(argv[1], NULL) * NS_PER_SECOND);
    big_to = calloc(1, BIG_BYTES);
    big_from = malloc(BIG_BYTES);
    zero_fd = open("/dev/zero", O_RDONLY);
    if (big_to == NULL || big_from == NULL || zero_fd < 0) return 2;
    for (int i = 0; i < BIG_BYTES; i++) big_from[i] = (char)((i * 7) ^ (i >> 3) ^ (i >> 11));
    program_wait_for_start();
    // One after the other: some share a buffer.
    for (size_t i = 0; i < COUNT_OF(chains); i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, run_chain, (void *)(uintptr_t)&chains[i]);
        pthread_join(thread, NULL);
        printf("chain:%s 1\n", chains[i].name);
    }
    program_end();
}
