// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/cpu.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "pprof/libc/plain.h"
#include "pprof/profile/delta.h"
#include "pprof/sample/thread.h"
#include "pprof/sample/tick.h"

// glibc has the field but no name for it.
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static struct cpu_window *windows;
static uint32_t window_count, windows_limit;
static struct ring *ring;

/* atomic */
static atomic_ullong unsampled_count;

// Never called: its address stands for ticks that were lost, and its name says so in the profile.
static NOINLINE void pprof_lost_ticks(void) {
    __asm__ volatile("");
}

// The CPU clock of any thread of this process: clock ids count down from -1 in steps of 8, and 6
// means "of one thread, as the scheduler accounts it" (include/linux/posix-timers_types.h of Linux:
// CPUCLOCK_PERTHREAD_MASK 4, CPUCLOCK_SCHED 2). What pthread_getcpuclockid computes; it wants a
// pthread_t, which may be gone where the id is not.
static clockid_t cpu_clock_of(pid_t tid) {
    return (clockid_t)(~(unsigned)tid << 3 | 6);
}

// A cheap generator is enough: only the phase depends on it. splitmix64.
static uint64_t next_random(void) {
    static uint64_t state;
    if (state == 0) state = (uint64_t)clock_monotonic_ns();
    uint64_t word = state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

// Under the list's lock. A thread without a timer (RLIMIT_SIGPENDING bounds timers) is not sampled.
static void arm(struct thread *thread) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
    event.sigev_notify_thread_id = thread->tid;
    if (timer_create(cpu_clock_of(thread->tid), &event, &thread->timer) != 0) {
        atomic_fetch_add(&unsampled_count, 1);
        return;
    }
    thread->has_timer = true;
    struct itimerspec period = {
        .it_interval.tv_nsec = CPU_PERIOD_NS,
        .it_value.tv_nsec = 1 + (long)(next_random() % CPU_PERIOD_NS),
    };
    timer_settime(thread->timer, 0, &period, NULL);
}

static void disarm(struct thread *thread) {
    if (!thread->has_timer) return;
    timer_delete(thread->timer);
    thread->has_timer = false;
}

enum status cpu_init(uint32_t windows_most) {
    windows_limit = windows_most;
    struct sigaction action = {.sa_sigaction = tick_handle, .sa_flags = SA_SIGINFO | SA_RESTART};
    return sigaction(TICK_SIGNAL, &action, NULL) == 0 ? STATUS_OK : STATUS_SYSTEM;
}

static enum status start_ticks(void) {
    struct ring *fresh = mmap(NULL, sizeof *fresh, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) return STATUS_NO_MEMORY;
    ring_init(fresh);
    ring = fresh;
    atomic_store(&tick_ring, fresh);
    thread_watch(arm, disarm);
    return STATUS_OK;
}

static void add_tick(struct cpu_window *window, const struct sample_key *key,
                     const struct tick *tick) {
    const int64_t values[SAMPLE_VALUES] = {
        [CPU_VALUE_SAMPLES] = tick->weight,
        [CPU_VALUE_NS] = (int64_t)tick->weight * CPU_PERIOD_NS,
    };
    if (store_add(&window->store, key, values) != STATUS_OK) window->refused_count += tick->weight;
    if (!tick->is_complete) window->cut_count += tick->weight;
}

static void merge(struct tick *tick) {
    uint32_t depth = leaf_repair(tick->addresses, tick->depth, STACK_DEPTH, tick->words);
    for (uint32_t i = 1; i < depth; i++) tick->addresses[i]--;
    struct sample_key key = {.addresses = tick->addresses, .depth = depth, .labels = tick->labels};
    memcpy(key.thread, tick->thread, strnlen(tick->thread, sizeof key.thread - 1));
    for (struct cpu_window *window = windows; window != NULL; window = window->next) {
        add_tick(window, &key, tick);
    }
}

static void drain_locked(void) {
    for (struct ring_slot *slot = ring_take(ring); slot != NULL; slot = ring_take(ring)) {
        merge(&slot->tick);
        ring_return(ring, slot);
    }
}

// After this no handler can touch the ring: deleted timers send nothing more, and what was sent
// already either is seen in flight or finds no ring.
static void stop_ticks(void) {
    thread_watch(NULL, NULL);
    atomic_store(&tick_ring, NULL);
    while (atomic_load(&tick_in_flight) != 0) sched_yield();
    drain_locked();
    munmap(ring, sizeof *ring);
    ring = NULL;
}

static enum status add_lost(struct cpu_window *window, int64_t count) {
    uintptr_t address = (uintptr_t)pprof_lost_ticks;
    const struct sample_key key = {.addresses = &address, .depth = 1};
    const int64_t values[SAMPLE_VALUES] = {
        [CPU_VALUE_SAMPLES] = count,
        [CPU_VALUE_NS] = count * CPU_PERIOD_NS,
    };
    return store_add(&window->store, &key, values);
}

enum status cpu_window_open(struct cpu_window *window) {
    *window = (struct cpu_window){.store.pool.limit_bytes = CPU_WINDOW_BYTES_MOST};
    plain_lock(&lock);
    enum status status = window_count == windows_limit ? STATUS_BUSY : STATUS_OK;
    if (status == STATUS_OK) status = add_lost(window, 0);  // its place, while there is memory
    if (status == STATUS_OK && windows == NULL) status = start_ticks();
    if (status == STATUS_OK) {
        drain_locked();  // what came before belongs to the others
        window->dropped_at_start = atomic_load(&tick_dropped);
        window->start_ns = clock_monotonic_ns();
        window->start_wall_ns = clock_wall_ns();
        window->next = windows;
        windows = window;
        window_count++;
    }
    plain_unlock(&lock);
    if (status != STATUS_OK) store_done(&window->store);
    return status;
}

void cpu_drain(void) {
    plain_lock(&lock);
    if (ring != NULL) drain_locked();
    plain_unlock(&lock);
}

void cpu_window_close(struct cpu_window *window) {
    plain_lock(&lock);
    if (window_count == 1) {
        stop_ticks();
    } else {
        drain_locked();
    }
    struct cpu_window **link = &windows;
    while (*link != window) link = &(*link)->next;
    *link = window->next;
    window_count--;
    int64_t dropped = (int64_t)(atomic_load(&tick_dropped) - window->dropped_at_start);
    enum status status = add_lost(window, dropped + window->refused_count);
    assert(status == STATUS_OK);  // its place was made when the window was opened
    (void)status;
    delta_drop_zeros(&window->store);
    plain_unlock(&lock);
}

uint64_t cpu_unsampled_count(void) {
    return atomic_load(&unsampled_count);
}

uint32_t cpu_window_count(void) {
    plain_lock(&lock);
    uint32_t count = window_count;
    plain_unlock(&lock);
    return count;
}
