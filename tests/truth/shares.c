// SPDX-License-Identifier: Apache-2.0
// Burns CPU in known shares: three functions in three threads, each measured by the thread's own
// CPU clock. Values are nanoseconds. Usage: shares CPU_SECONDS
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "tests/truth/program.h"

enum { THREADS = 3, FUNCTIONS = 3 };

static const double thread_parts[THREADS] = {0.1, 0.3, 0.6};
static const char *const function_names[FUNCTIONS] = {"burn_ten", "burn_thirty", "burn_sixty"};
static const char *const thread_names[THREADS] = {"tenth", "third", "most"};

static double total_ns;
static int64_t function_ns[THREADS][FUNCTIONS];
static int64_t thread_ns[THREADS];
static volatile uint64_t sink;

static int64_t cpu_ns(void) {
    return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline void spin(int64_t for_ns) {
    uint64_t word = 1;
    for (int64_t until = cpu_ns() + for_ns; cpu_ns() < until;) {
        for (int i = 0; i < 3000; i++) word = word * UINT64_C(6364136223846793005) + 1;
    }
    sink += word;
}

// The work is inlined, so that each function's own name is at the leaf (or above the clock's).
NOINLINE static void burn_ten(void) {
    spin(1100000);
    __asm__ volatile("");
}
NOINLINE static void burn_thirty(void) {
    spin(3300000);
    __asm__ volatile("");
}
NOINLINE static void burn_sixty(void) {
    spin(6600000);
    __asm__ volatile("");
}

static void *burn(void *argument) {
    static void (*const functions[FUNCTIONS])(void) = {burn_ten, burn_thirty, burn_sixty};
    size_t me = (size_t)argument;
    pthread_setname_np(pthread_self(), thread_names[me]);
    int64_t start = cpu_ns();
    int64_t until = start + (int64_t)(total_ns * thread_parts[me]);
    while (cpu_ns() < until) {
        for (int i = 0; i < FUNCTIONS; i++) {
            int64_t before = cpu_ns();
            functions[i]();
            function_ns[me][i] += cpu_ns() - before;
        }
    }
    thread_ns[me] = cpu_ns() - start;
    return NULL;
}

static int64_t process_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_SECOND +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void report(int64_t used_ns) {
    for (int i = 0; i < FUNCTIONS; i++) {
        int64_t sum = 0;
        for (int t = 0; t < THREADS; t++) sum += function_ns[t][i];
        printf("%s %lld\n", function_names[i], (long long)sum);
    }
    for (int t = 0; t < THREADS; t++) {
        printf("thread:%s %lld\n", thread_names[t], (long long)thread_ns[t]);
    }
    printf("process %lld\n", (long long)used_ns);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    program_serve();
    total_ns = strtod(argv[1], NULL) * NS_PER_SECOND;
    program_wait_for_start();
    int64_t before = process_ns();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, burn, (void *)i);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    report(process_ns() - before);
    program_end();
}
