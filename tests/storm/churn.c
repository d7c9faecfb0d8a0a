// SPDX-License-Identifier: Apache-2.0
#include "tests/storm/churn.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pprof/pprof.h"
#include "pprof/sample/tick.h"

enum { STARTERS = 3, TICK_NS = 20000, SMALL = 64 };

static pthread_t starters[STARTERS];
static atomic_bool is_over;
static atomic_ullong thread_total;

static timer_t start_wall_timer(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) abort();
    struct itimerspec period = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
    timer_settime(timer, 0, &period, NULL);
    return timer;
}

static void *allocate(void *argument) {
    size_t rounds = (size_t)argument;
    void *volatile blocks[SMALL];
    const struct pprof_label label = {"storm", "1"};
    pprof_labels_push(pprof_labels_intern(&label, 1));
    timer_t timer = start_wall_timer();
    for (size_t k = 0; k < rounds; k++) {
        for (size_t i = 0; i < SMALL; i++) blocks[i] = malloc(i * 97 + k % 4096);
        for (size_t i = 0; i < SMALL; i++) free(blocks[i]);
        if (k % 64 == 63) pthread_setname_np(pthread_self(), k % 128 == 127 ? "odd" : "even");
    }
    timer_delete(timer);
    // Half of them leave by the other door.
    if (rounds % 2 == 0) pthread_exit(NULL);
    return NULL;
}

static void *start_and_join(void *argument) {
    (void)argument;
    for (size_t i = 0; !atomic_load(&is_over); i++) {
        pthread_t thread;
        size_t rounds = 100 + i % 301;
        if (pthread_create(&thread, NULL, allocate, (void *)rounds) != 0) abort();
        pthread_join(thread, NULL);
        atomic_fetch_add(&thread_total, 1);
    }
    return NULL;
}

void churn_start(void) {
    for (int i = 0; i < STARTERS; i++) pthread_create(&starters[i], NULL, start_and_join, NULL);
}

unsigned long long churn_stop(void) {
    atomic_store(&is_over, true);
    for (int i = 0; i < STARTERS; i++) pthread_join(starters[i], NULL);
    return atomic_load(&thread_total);
}
