// SPDX-License-Identifier: Apache-2.0
// A million ticks while threads start and exit, malloc runs hot and windows open and close. CPU
// timers cannot tick that fast, so each thread adds a wall-clock timer of its own that sends the
// same signal, every 20 µs. Says "ok" if nothing crashed or hung and no tick was lost uncounted:
// what the windows hold plus what was dropped is what the handler saw.
// Usage: ticks COUNT
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pprof/sample/cpu.h"
#include "pprof/sample/thread.h"
#include "pprof/sample/tick.h"
#include "tests/storm/churn.h"

enum { HANG_SECONDS = 240 };

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
    churn_start();
    churn_windows(wanted);
    unsigned long long threads = churn_stop();
    cpu_window_close(&window);

    long long seen = (long long)(atomic_load(&tick_recorded) + atomic_load(&tick_dropped));
    long long held = sum(&window.store);
    printf("ticks %lld held %lld dropped %llu cut %lld threads %llu stacks %u\n", seen, held,
           (unsigned long long)atomic_load(&tick_dropped), (long long)window.cut_count, threads,
           window.store.sample_count);
    if (held != seen) fail("ticks are missing from the window");
    if (thread_count() != 1) fail("threads are left in the list");
    store_done(&window.store);
    printf("ok\n");
    return 0;
}
