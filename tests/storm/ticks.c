// SPDX-License-Identifier: Apache-2.0
// A million ticks while threads start and exit, malloc runs hot and windows open and close. CPU
// timers cannot tick that fast, so each thread adds a wall-clock timer of its own that sends the
// same signal, every 20 µs. Says "ok" if nothing crashed or hung and no tick was lost uncounted:
// what the windows hold plus what was dropped is what the handler saw.
// Usage: ticks COUNT
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "pprof/pprof.h"
#include "pprof/sample/cpu.h"
#include "pprof/sample/thread.h"
#include "pprof/sample/tick.h"

enum { STARTERS = 3, TICK_NS = 20000, HANG_SECONDS = 240, SMALL = 64 };

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

static int64_t sum(const struct store *store) {
    int64_t total = 0;
    for (const struct sample *s = store->first; s != NULL; s = s->next) {
        total += s->values[CPU_VALUE_SAMPLES];
    }
    return total;
}

// One window after the other over one that is open all the time, so that the ring stays.
static void churn_windows(unsigned long long wanted) {
    while (atomic_load(&tick_recorded) + atomic_load(&tick_dropped) < wanted) {
        struct cpu_window window;
        if (cpu_window_open(&window) != STATUS_OK) abort();
        for (int i = 0; i < 20; i++) cpu_drain();
        cpu_window_close(&window);
        store_done(&window.store);
    }
}

static void fail(const char *what) {
    printf("failed: %s\n", what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    unsigned long long wanted = strtoull(argv[1], NULL, 10);
    alarm(HANG_SECONDS);  // a deadlock ends here
    if (thread_enter_main() != STATUS_OK || cpu_init(2) != STATUS_OK) return 2;

    struct cpu_window window;
    if (cpu_window_open(&window) != STATUS_OK) return 2;
    pthread_t starters[STARTERS];
    for (int i = 0; i < STARTERS; i++) pthread_create(&starters[i], NULL, start_and_join, NULL);
    churn_windows(wanted);
    atomic_store(&is_over, true);
    for (int i = 0; i < STARTERS; i++) pthread_join(starters[i], NULL);
    cpu_window_close(&window);

    long long seen = (long long)(atomic_load(&tick_recorded) + atomic_load(&tick_dropped));
    long long held = sum(&window.store);
    printf("ticks %lld held %lld dropped %llu cut %lld threads %llu stacks %u\n", seen, held,
           (unsigned long long)atomic_load(&tick_dropped), (long long)window.cut_count,
           (unsigned long long)atomic_load(&thread_total), window.store.sample_count);
    if (held != seen) fail("ticks are missing from the window");
    if (thread_count() != 1) fail("threads are left in the list");
    store_done(&window.store);
    printf("ok\n");
    return 0;
}
