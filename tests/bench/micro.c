// SPDX-License-Identifier: Apache-2.0
// What the profiler costs the program, one line a figure: "NAME VALUE PEER", both in the unit that
// the name ends in. Thread CPU time, best of five, but for what waits.
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "pprof/libc/plain.h"
#include "pprof/pprof.h"
#include "pprof/profile/encode.h"
#include "pprof/profile/source.h"
#include "pprof/sample/cpu.h"
#include "pprof/sample/heap.h"
#include "pprof/sample/tick.h"

enum { CONTENDED_ROUNDS = 300000, CONTENDED_RUNS = 9, SPIN_ROUNDS = 10000000, TICK_NS = 100000 };
enum { ROUNDS = 2000000, TRIES = 5, THREADS = 1000, STACK_BYTES = 64 << 10, STACKS = 10000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int waiting;
static int never[2];

#define BEST_NS(call)                                                                              \
    ({                                                                                             \
        double best = 1e18;                                                                        \
        for (int try = 0; try < TRIES; try++) {                                                    \
            int64_t before_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);                            \
            for (int i = 0; i < ROUNDS; i++) {                                                     \
                call;                                                                              \
            }                                                                                      \
            double ns = (double)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns) / ROUNDS;     \
            if (ns < best) best = ns;                                                              \
        }                                                                                          \
        best;                                                                                      \
    })

// Two threads that each hold the lock half of the time, and would like it all of the time.
struct contender {
    int (*lock)(pthread_mutex_t *), (*unlock)(pthread_mutex_t *);
};

static void work(void) {
    for (int i = 0; i < 50; i++) __asm__ volatile("");
}

static void *contend(void *argument) {
    const struct contender *contender = argument;
    for (int i = 0; i < CONTENDED_ROUNDS; i++) {
        contender->lock(&mutex);
        work();
        contender->unlock(&mutex);
    }
    return NULL;
}

static double contended_ns(const struct contender *contender) {
    pthread_t threads[2];
    int64_t before_ns = clock_monotonic_ns();
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        if (pthread_create(&threads[i], NULL, contend, (void *)(uintptr_t)contender) != 0) abort();
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_join(threads[i], NULL);
    return (double)(clock_monotonic_ns() - before_ns) / (COUNT_OF(threads) * CONTENDED_ROUNDS);
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

// Medians of alternating runs: how two threads meet differs from run to run.
static void measure_contention(void) {
    static const struct contender wrapped = {pthread_mutex_lock, pthread_mutex_unlock};
    static const struct contender plain = {__real_pthread_mutex_lock, __real_pthread_mutex_unlock};
    double ours[CONTENDED_RUNS], theirs[CONTENDED_RUNS];
    for (int i = 0; i < CONTENDED_RUNS; i++) {
        ours[i] = contended_ns(&wrapped);
        theirs[i] = contended_ns(&plain);
    }
    qsort(ours, CONTENDED_RUNS, sizeof ours[0], compare_numbers);
    qsort(theirs, CONTENDED_RUNS, sizeof theirs[0], compare_numbers);
    printf("contended_lock_unlock_ns %.1f %.1f\n", ours[CONTENDED_RUNS / 2],
           theirs[CONTENDED_RUNS / 2]);
}

// One piece of work, alone or while the tick's signal comes every TICK_NS.
struct spin {
    bool is_ticked;
    double ns;
    atomic_bool is_over;
};

static void *spin(void *argument) {
    struct spin *spin = argument;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
    event.sigev_notify_thread_id = gettid();
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) abort();
    const struct itimerspec period = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
    if (spin->is_ticked) timer_settime(timer, 0, &period, NULL);
    int64_t before_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < SPIN_ROUNDS; i++) work();
    spin->ns = (double)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns);
    timer_delete(timer);
    atomic_store(&spin->is_over, true);
    return NULL;
}

static double spin_ns(bool is_ticked) {
    struct spin measured = {.is_ticked = is_ticked};
    pthread_t thread;
    if (pthread_create(&thread, NULL, spin, &measured) != 0) abort();
    while (!atomic_load(&measured.is_over)) {
        cpu_drain();
        usleep(2000);  // the ring holds a hundred milliseconds of ticks
    }
    pthread_join(thread, NULL);
    return measured.ns;
}

// What the thread loses to a tick. The profile asks a hundred times in a second of its CPU time.
static double tick_ns(void) {
    struct cpu_window window;
    if (cpu_window_open(&window) != STATUS_OK) abort();
    double alone = 1e18, ticked = 1e18;
    uint64_t ticks = 0;
    for (int try = 0; try < TRIES; try++) {
        double ns = spin_ns(false);
        if (ns < alone) alone = ns;
        uint64_t before = atomic_load(&tick_recorded);
        ns = spin_ns(true);
        if (ns < ticked) {
            ticked = ns;
            ticks = atomic_load(&tick_recorded) - before;
        }
    }
    cpu_window_close(&window);
    store_done(&window.store);
    return (ticked - alone) / (double)ticks;
}

static void *wait_for_ever(void *unused) {
    struct pollfd watched = {.fd = never[0], .events = POLLIN};
    atomic_fetch_add(&waiting, 1);
    poll(&watched, 1, -1);
    return unused;
}

static void start_threads(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pipe(never) != 0) abort();
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, wait_for_ever, NULL) != 0) abort();
    }
    while (atomic_load(&waiting) < THREADS) sched_yield();
    usleep(100000);  // until they are in poll; no result depends on it, only the cost
}

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
    void *volatile block = depth == 0        ? malloc(1 << 20)
                           : (path & 1) != 0 ? left(path >> 1, depth - 1)
                                             : right(path >> 1, depth - 1);
    return block;
}

static double encode_ms(const struct source *source, uint32_t *ret_stacks) {
    double best = 1e18;
    for (int try = 0; try < TRIES; try++) {
        int64_t before_ns = clock_monotonic_ns();
        struct store store = {0};
        if (source->collect(&store, source->context) != STATUS_OK) abort();
        const struct profile profile = {
            .sample_types = {source->sample_types[0], source->sample_types[1],
                             source->sample_types[2], source->sample_types[3]},
            .period_type = source->period_type,
            .period = source->period(),
            .samples = &store};
        struct buffer out = {0};
        if (profile_encode(&profile, &out) != STATUS_OK) abort();
        *ret_stacks = store.sample_count;
        buffer_done(&out);
        store_done(&store);
        double ms = (double)(clock_monotonic_ns() - before_ns) / NS_PER_MS;
        if (ms < best) best = ms;
    }
    return best;
}

int main(void) {
    char message[PPROF_MESSAGE_BYTES];
    const struct pprof_options options = {.address = "127.0.0.1:0",
                                          .block_rate_ns = PPROF_DEFAULT_BLOCK_RATE_NS,
                                          .mutex_fraction = PPROF_DEFAULT_MUTEX_FRACTION};
    if (pprof_start(&options, message) != 0) return 2;
    double wrapped = BEST_NS(pthread_mutex_lock(&mutex); pthread_mutex_unlock(&mutex));
    double plain = BEST_NS(plain_lock(&mutex); plain_unlock(&mutex));
    printf("lock_unlock_ns %.2f %.2f\n", wrapped, plain);

    measure_contention();
    printf("tick_ns %.0f 0\n", tick_ns());

    const struct pprof_label label = {"model", "gpt"};
    uint32_t set = pprof_labels_intern(&label, 1);
    printf("label_push_pop_ns %.2f 0\n", BEST_NS(pprof_labels_pop(pprof_labels_push(set))));
    printf("label_add_ns %.2f 0\n", BEST_NS(pprof_labels_add(0, "model", "gpt", 3, true)));

    uint32_t stacks;
    for (unsigned i = 0; i < STACKS; i++) {
        if (allocate_at(i, 14) == NULL) abort();
    }
    double heap_ms = encode_ms(&heap_source, &stacks);
    printf("heap_profile_%u_stacks_ms %.2f 0\n", stacks, heap_ms);

    start_threads();
    double dump_ms = encode_ms(source_find(BYTES_LITERAL("goroutine")), &stacks);
    printf("dump_%d_threads_ms %.2f 0\n", THREADS, dump_ms);
    return 0;
}
