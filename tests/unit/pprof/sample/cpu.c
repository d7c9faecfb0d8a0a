// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

static bool has_no_memory;

static void *failing_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    return has_no_memory ? MAP_FAILED : mmap(at, size, protection, flags, fd, offset);
}

#define mmap failing_mmap
#include "pprof/sample/cpu.c"
#undef mmap

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#include "pprof/symbol/symbol.h"

enum { WINDOWS_MOST = 3 };

static int setup_all(void **state) {
    (void)state;
    if (thread_enter_main() != STATUS_OK) return -1;
    return cpu_init(WINDOWS_MOST) == STATUS_OK ? 0 : -1;
}

static int setup(void **state) {
    (void)state;
    has_no_memory = false;
    return 0;
}

static int64_t sum_of(const struct cpu_window *window, int value) {
    int64_t sum = 0;
    for (const struct sample *s = window->store.first; s != NULL; s = s->next) {
        sum += s->values[value];
    }
    return sum;
}

static void open_window(struct cpu_window *window) {
    assert_int_equal(cpu_window_open(window), STATUS_OK);
}

static void close_window(struct cpu_window *window) {
    cpu_window_close(window);
    store_done(&window->store);
}

// Uses up processor time until the window has so many periods more than now.
static void burn(struct cpu_window *window, int64_t periods) {
    int64_t wanted = sum_of(window, CPU_VALUE_SAMPLES) + periods;
    while (sum_of(window, CPU_VALUE_SAMPLES) < wanted) {
        int64_t until = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) + 5 * NS_PER_MS;
        while (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) < until) {}
        cpu_drain();
    }
}

// The process's POSIX timers as the kernel lists them; -1: this kernel does not.
static int timer_count(void) {
    FILE *timers = fopen("/proc/self/timers", "re");
    if (timers == NULL) return -1;
    char line[256];
    int count = 0;
    while (fgets(line, sizeof line, timers) != NULL) count += strncmp(line, "ID:", 3) == 0;
    fclose(timers);
    return count;
}

static void test_cpu__one_window_too_many_is_refused_and_closing_makes_room(void **state) {
    (void)state;
    struct cpu_window first, second, third, another;
    open_window(&first);
    open_window(&second);
    open_window(&third);
    assert_int_equal(cpu_window_open(&another), STATUS_BUSY);
    close_window(&second);
    open_window(&another);
    assert_int_equal(cpu_window_open(&second), STATUS_BUSY);
    close_window(&another);
    close_window(&third);
    close_window(&first);
    assert_int_equal(window_count, 0);
    assert_null(ring);
}

static void test_cpu__with_no_window_there_is_no_timer_and_with_one_one_a_thread(void **state) {
    (void)state;
    if (timer_count() < 0) skip();
    assert_int_equal(timer_count(), 0);
    struct cpu_window first, second;
    open_window(&first);
    assert_int_equal(timer_count(), 1);
    open_window(&second);
    assert_int_equal(timer_count(), 1);
    close_window(&first);
    assert_int_equal(timer_count(), 1);
    close_window(&second);
    assert_int_equal(timer_count(), 0);
}

static sem_t begun, may_end;

static void *stay(void *unused) {
    (void)unused;
    sem_post(&begun);
    while (sem_wait(&may_end) != 0) {}
    return NULL;
}

static void test_cpu__threads_that_start_and_end_meanwhile_get_and_lose_a_timer(void **state) {
    (void)state;
    if (timer_count() < 0) skip();
    sem_init(&begun, 0, 0);
    sem_init(&may_end, 0, 0);
    pthread_t early, late;
    pthread_create(&early, NULL, stay, NULL);
    while (sem_wait(&begun) != 0) {}
    struct cpu_window window;
    open_window(&window);
    assert_int_equal(timer_count(), 2);
    pthread_create(&late, NULL, stay, NULL);
    while (sem_wait(&begun) != 0) {}
    assert_int_equal(timer_count(), 3);
    sem_post(&may_end);
    sem_post(&may_end);
    pthread_join(early, NULL);
    pthread_join(late, NULL);
    assert_int_equal(timer_count(), 1);
    close_window(&window);
    assert_int_equal(timer_count(), 0);
}

static void test_cpu__two_windows_see_the_same_burn(void **state) {
    (void)state;
    struct cpu_window first, second;
    open_window(&first);
    open_window(&second);
    cpu_drain();
    int64_t before_first = sum_of(&first, CPU_VALUE_SAMPLES);
    int64_t before_second = sum_of(&second, CPU_VALUE_SAMPLES);
    burn(&second, 5);
    int64_t periods = sum_of(&first, CPU_VALUE_SAMPLES) - before_first;
    assert_true(periods >= 5);
    assert_int_equal(sum_of(&second, CPU_VALUE_SAMPLES) - before_second, periods);
    assert_int_equal(sum_of(&first, CPU_VALUE_NS),
                     sum_of(&first, CPU_VALUE_SAMPLES) * CPU_PERIOD_NS);
    close_window(&second);
    close_window(&first);
}

// Would catch: ticks of before in the new window.
static void test_cpu__a_window_starts_empty_also_beside_a_busy_one(void **state) {
    (void)state;
    struct cpu_window first, second;
    open_window(&first);
    burn(&first, 3);
    int64_t until = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) + 50 * NS_PER_MS;
    while (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) < until) {}
    open_window(&second);
    assert_int_equal(sum_of(&second, CPU_VALUE_SAMPLES), 0);
    assert_true(sum_of(&first, CPU_VALUE_SAMPLES) > 3);
    assert_true(second.start_ns >= first.start_ns);
    close_window(&first);
    close_window(&second);
}

static void test_cpu__a_closed_window_is_not_touched_any_more(void **state) {
    (void)state;
    struct cpu_window first, second;
    open_window(&first);
    open_window(&second);
    burn(&first, 2);
    cpu_window_close(&first);
    struct cpu_window copy = first;
    int64_t sum = sum_of(&first, CPU_VALUE_SAMPLES);
    burn(&second, 3);
    assert_memory_equal(&copy, &first, sizeof copy);
    assert_int_equal(sum_of(&first, CPU_VALUE_SAMPLES), sum);
    store_done(&first.store);
    close_window(&second);
}

// What was burnt before the close and not drained yet belongs to the window.
static void test_cpu__closing_takes_what_is_still_on_its_way(void **state) {
    (void)state;
    struct cpu_window window;
    open_window(&window);
    int64_t until = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) + 60 * NS_PER_MS;
    while (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) < until) {}
    assert_int_equal(sum_of(&window, CPU_VALUE_SAMPLES), 0);
    cpu_window_close(&window);
    assert_true(sum_of(&window, CPU_VALUE_SAMPLES) > 0);
    store_done(&window.store);
}

static struct tick made_tick(void) {
    return (struct tick){.weight = 3,
                         .depth = 3,
                         .is_complete = true,
                         .thread = "made",
                         .addresses = {0x1000, 0x2001, 0x3001}};
}

static void test_cpu__a_tick_becomes_a_sample_of_its_weight_with_call_addresses(void **state) {
    (void)state;
    struct cpu_window window = {0};
    windows = &window;
    struct tick tick = made_tick();
    merge(&tick);
    tick = made_tick();
    tick.is_complete = false;
    merge(&tick);
    windows = NULL;
    assert_int_equal(window.store.sample_count, 1);
    const struct sample *sample = window.store.first;
    assert_int_equal(sample->key.depth, 3);
    assert_int_equal(sample->key.addresses[0], 0x1000);
    assert_int_equal(sample->key.addresses[1], 0x2000);
    assert_int_equal(sample->key.addresses[2], 0x3000);
    assert_string_equal(sample->key.thread, "made");
    assert_int_equal(sample->values[CPU_VALUE_SAMPLES], 6);
    assert_int_equal(sample->values[CPU_VALUE_NS], 6 * CPU_PERIOD_NS);
    assert_int_equal(window.cut_count, 3);
    store_done(&window.store);
}

// Would catch: bytes behind the name's NUL making two samples of one.
static void test_cpu__a_threads_name_ends_at_its_nul(void **state) {
    (void)state;
    struct cpu_window window = {0};
    windows = &window;
    struct tick tick = made_tick();
    memcpy(tick.thread, "made\0xyz", 8);
    merge(&tick);
    tick = made_tick();
    merge(&tick);
    tick = made_tick();
    memset(tick.thread, 'n', sizeof tick.thread);  // the kernel always ends it, but who knows
    merge(&tick);
    windows = NULL;
    assert_int_equal(window.store.sample_count, 2);
    assert_string_equal(window.store.first->next->key.thread, "nnnnnnnnnnnnnnn");
    store_done(&window.store);
}

static const struct sample *lost_sample(const struct cpu_window *window) {
    for (const struct sample *s = window->store.first; s != NULL; s = s->next) {
        struct symbol_line lines[SYMBOL_LINES_MOST];
        if (symbol_resolve(s->key.addresses[0], lines) == 0) continue;
        if (strcmp(lines[0].function, "pprof_lost_ticks") == 0) return s;
    }
    return NULL;
}

static void test_cpu__lost_ticks_are_a_frame_with_a_name(void **state) {
    (void)state;
    struct cpu_window first, second;
    atomic_fetch_add(&tick_dropped, 1000);  // before: nobody's
    open_window(&first);
    atomic_fetch_add(&tick_dropped, 5);
    open_window(&second);
    atomic_fetch_add(&tick_dropped, 2);
    cpu_window_close(&first);
    cpu_window_close(&second);
    assert_non_null(lost_sample(&first));
    assert_int_equal(lost_sample(&first)->values[CPU_VALUE_SAMPLES], 7);
    assert_int_equal(lost_sample(&first)->values[CPU_VALUE_NS], 7 * (int64_t)CPU_PERIOD_NS);
    assert_int_equal(lost_sample(&second)->values[CPU_VALUE_SAMPLES], 2);
    store_done(&first.store);
    store_done(&second.store);
    open_window(&first);
    cpu_window_close(&first);
    assert_null(lost_sample(&first));
    store_done(&first.store);
}

static void test_cpu__what_a_window_has_no_memory_for_counts_as_lost(void **state) {
    (void)state;
    struct cpu_window window;
    open_window(&window);
    struct tick tick = made_tick();
    merge(&tick);
    size_t limit = window.store.pool.limit_bytes;
    window.store.pool.limit_bytes = 1;
    window.store.pool.used = window.store.pool.size;
    tick = made_tick();
    tick.addresses[0] = 0x5000;
    merge(&tick);
    tick = made_tick();
    merge(&tick);  // a stack that is known needs none
    assert_int_equal(window.refused_count, 3);
    window.store.pool.limit_bytes = limit;
    cpu_window_close(&window);
    assert_non_null(lost_sample(&window));
    assert_int_equal(lost_sample(&window)->values[CPU_VALUE_SAMPLES], 3);
    store_done(&window.store);
}

static void test_cpu__without_memory_no_window_opens_and_later_one_does(void **state) {
    (void)state;
    struct cpu_window window;
    has_no_memory = true;
    assert_int_equal(cpu_window_open(&window), STATUS_NO_MEMORY);
    assert_int_equal(window_count, 0);
    assert_null(atomic_load(&tick_ring));
    assert_true(timer_count() <= 0);
    has_no_memory = false;
    open_window(&window);
    close_window(&window);
}

static void test_cpu__draining_with_no_window_is_harmless(void **state) {
    (void)state;
    cpu_drain();
}

static void *open_burn_close(void *argument) {
    bool *is_good = argument;
    *is_good = true;
    for (int i = 0; i < 30; i++) {
        struct cpu_window window;
        if (cpu_window_open(&window) != STATUS_OK) continue;
        int64_t until = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) + 3 * NS_PER_MS;
        while (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) < until) cpu_drain();
        cpu_window_close(&window);
        for (const struct sample *s = window.store.first; s != NULL; s = s->next) {
            *is_good = *is_good && s->key.depth != 0 && s->values[CPU_VALUE_SAMPLES] > 0;
        }
        store_done(&window.store);
    }
    return NULL;
}

// ThreadSanitizer and AddressSanitizer watch the ring being made, filled and unmapped again.
static void test_cpu__windows_open_and_close_in_several_threads(void **state) {
    (void)state;
    enum { COUNT = 4 };
    pthread_t threads[COUNT];
    bool is_good[COUNT];
    for (int i = 0; i < COUNT; i++) {
        pthread_create(&threads[i], NULL, open_burn_close, &is_good[i]);
    }
    for (int i = 0; i < COUNT; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < COUNT; i++) assert_true(is_good[i]);
    assert_int_equal(window_count, 0);
    assert_null(ring);
    assert_int_equal(atomic_load(&tick_in_flight), 0);
}
