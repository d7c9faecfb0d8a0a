// SPDX-License-Identifier: Apache-2.0
// Waits whose lengths the program reads off its own clock, around the same calls: for each kind, a
// thread named after nothing in particular holds for HOLD_NS (spinning on the clock) what the other
// waits for. Prints "KIND:waited NANOSECONDS" and, for locks, "KIND:held_least NANOSECONDS" and
// held_most; the waiting function is KIND_wait, the one that gives back is KIND_hold. Usage: locks
// ROUNDS
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "tests/truth/program.h"

enum { HOLD_NS = 5000000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool is_signalled;
static sem_t semaphore;
static pthread_barrier_t barrier;

// 1: it is held, the other may begin to wait; 2: it has begun.
static atomic_int step;
static int64_t waited_ns;
// Of a wait only what was before the release is the holder's; that was between two readings.
static int64_t begun_ns, releasing_ns, released_ns;
static int64_t held_least_ns, held_most_ns;

static void spin_until(int64_t until_ns) {
    while (clock_monotonic_ns() < until_ns) {}
}

static void await_step(int wanted) {
    while (atomic_load(&step) < wanted) sched_yield();
}

// The other is told, and given the time to be really waiting; then the hold begins to count.
static void let_wait(void) {
    atomic_store(&step, 1);
    await_step(2);
    spin_until(clock_monotonic_ns() + HOLD_NS);
}

#define TIMED(call)                                                                                \
    do {                                                                                           \
        await_step(1);                                                                             \
        int64_t before_ns = begun_ns = clock_monotonic_ns();                                       \
        atomic_store(&step, 2);                                                                    \
        call;                                                                                      \
        waited_ns += clock_monotonic_ns() - before_ns;                                             \
        __asm__ volatile("");                                                                      \
    } while (0)

NOINLINE static void mutex_hold(void) {
    pthread_mutex_lock(&mutex);
    let_wait();
    releasing_ns = clock_monotonic_ns();
    pthread_mutex_unlock(&mutex);
    released_ns = clock_monotonic_ns();
    __asm__ volatile("");
}
NOINLINE static void mutex_wait(void) {
    TIMED(pthread_mutex_lock(&mutex));
    pthread_mutex_unlock(&mutex);
}

NOINLINE static void rwlock_hold(void) {
    pthread_rwlock_wrlock(&rwlock);
    let_wait();
    releasing_ns = clock_monotonic_ns();
    pthread_rwlock_unlock(&rwlock);
    released_ns = clock_monotonic_ns();
    __asm__ volatile("");
}
NOINLINE static void rwlock_wait(void) {
    TIMED(pthread_rwlock_rdlock(&rwlock));
    pthread_rwlock_unlock(&rwlock);
}

NOINLINE static void cond_hold(void) {
    let_wait();
    pthread_mutex_lock(&cond_mutex);
    is_signalled = true;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&cond_mutex);
    __asm__ volatile("");
}
NOINLINE static void cond_wait(void) {
    pthread_mutex_lock(&cond_mutex);
    TIMED(while (!is_signalled) pthread_cond_wait(&cond, &cond_mutex));
    is_signalled = false;
    pthread_mutex_unlock(&cond_mutex);
}

NOINLINE static void semaphore_hold(void) {
    let_wait();
    sem_post(&semaphore);
    __asm__ volatile("");
}
NOINLINE static void semaphore_wait(void) {
    TIMED(sem_wait(&semaphore));
}

NOINLINE static void barrier_hold(void) {
    let_wait();
    pthread_barrier_wait(&barrier);
    __asm__ volatile("");
}
NOINLINE static void barrier_wait(void) {
    TIMED(pthread_barrier_wait(&barrier));
}

static const struct kind {
    const char *name;
    void (*hold)(void), (*wait)(void);
} kinds[] = {
    {"mutex", mutex_hold, mutex_wait},       {"rwlock", rwlock_hold, rwlock_wait},
    {"cond", cond_hold, cond_wait},          {"semaphore", semaphore_hold, semaphore_wait},
    {"barrier", barrier_hold, barrier_wait},
};

static void *hold(void *argument) {
    const struct kind *kind = argument;
    kind->hold();
    return NULL;
}

static void run_round(const struct kind *kind) {
    pthread_t holder;
    atomic_store(&step, 0);
    pthread_create(&holder, NULL, hold, (void *)(uintptr_t)kind);
    kind->wait();
    pthread_join(holder, NULL);
    held_least_ns += releasing_ns - begun_ns;
    held_most_ns += released_ns - begun_ns;
}

static void *spin_once(void *unused) {
    let_wait();
    return unused;
}

NOINLINE static void join_wait(void) {
    pthread_t thread;
    atomic_store(&step, 0);
    pthread_create(&thread, NULL, spin_once, NULL);
    TIMED(pthread_join(thread, NULL));
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int rounds = atoi(argv[1]);
    if (sem_init(&semaphore, 0, 0) != 0 || pthread_barrier_init(&barrier, NULL, 2) != 0) return 2;
    program_serve();
    program_wait_for_start();
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        waited_ns = held_least_ns = held_most_ns = 0;
        for (int round = 0; round < rounds; round++) run_round(&kinds[i]);
        printf("%s:waited %lld\n", kinds[i].name, (long long)waited_ns);
        printf("%s:held_least %lld\n", kinds[i].name, (long long)held_least_ns);
        printf("%s:held_most %lld\n", kinds[i].name, (long long)held_most_ns);
    }
    waited_ns = 0;
    for (int round = 0; round < rounds; round++) join_wait();
    printf("join:waited %lld\n", (long long)waited_ns);
    program_end();
}
