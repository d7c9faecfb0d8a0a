// SPDX-License-Identifier: Apache-2.0
// A thread in each call that waits, and one that runs: each named KIND, started by the creator that
// is printed, with the stack KIND_outer -> KIND_inner -> the call. They wait again and again, a
// fixed time each, while the tick's signal hits them every millisecond and other threads come and
// go. Prints "thread:KIND TID", "creator:KIND TID", then "start", and "waited" before they end;
// then "KIND:rounds N", "KIND:interrupted N" (EINTR), "KIND:early N" (before its time), and
// "churned N". Usage: threads ROUNDS
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "pprof/sample/tick.h"
#include "tests/truth/program.h"

enum { WAIT_NS = 50000000, WAIT_MS = 50, TICK_NS = 1000000 };

static int rounds;
static int epoll, never[2];
static sem_t semaphore;
static pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t taken_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static atomic_int ready_count, waiting_count;
static atomic_bool is_over;
static atomic_llong churned;

static struct timespec after_wait(clockid_t clock) {
    int64_t ns = clock_read_ns(clock) + WAIT_NS;
    return (struct timespec){.tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND};
}

// What waits for WAIT_NS returns 0, or why it did not.
static int outcome(int result, int good) {
    return result == good ? 0 : result < 0 ? errno : result;
}

// A kind: `body` gives 0 for a wait that lasted its whole time.
#define KIND(name, body)                                                                           \
    NOINLINE static int name##_inner(void) {                                                       \
        int failed = (body);                                                                       \
        __asm__ volatile("");                                                                      \
        return failed;                                                                             \
    }                                                                                              \
    NOINLINE static int name##_outer(void) {                                                       \
        int failed = name##_inner();                                                               \
        __asm__ volatile("");                                                                      \
        return failed;                                                                             \
    }

static const struct timespec wait_time = {.tv_nsec = WAIT_NS};

KIND(epoll_wait, outcome(epoll_wait(epoll, &(struct epoll_event){0}, 1, WAIT_MS), 0))
KIND(epoll_pwait, outcome(epoll_pwait(epoll, &(struct epoll_event){0}, 1, WAIT_MS, NULL), 0))
KIND(poll, outcome(poll(&(struct pollfd){never[0], POLLIN, 0}, 1, WAIT_MS), 0))
KIND(ppoll, outcome(ppoll(&(struct pollfd){never[0], POLLIN, 0}, 1, &wait_time, NULL), 0))
KIND(nanosleep, outcome(nanosleep(&wait_time, NULL), 0))
KIND(clock_nanosleep, clock_nanosleep(CLOCK_MONOTONIC, 0, &wait_time, NULL))

static int sleep_until(void) {
    struct timespec until = after_wait(CLOCK_MONOTONIC);
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}
KIND(sleep_until, sleep_until())

static int wait_cond(void) {
    struct timespec until = after_wait(CLOCK_REALTIME);
    int result = 0;
    pthread_mutex_lock(&cond_mutex);
    while (result == 0) result = pthread_cond_timedwait(&cond, &cond_mutex, &until);
    pthread_mutex_unlock(&cond_mutex);
    return result == ETIMEDOUT ? 0 : result;
}
KIND(cond_timedwait, wait_cond())

static int wait_semaphore(void) {
    struct timespec until = after_wait(CLOCK_REALTIME);
    return sem_timedwait(&semaphore, &until) < 0 && errno == ETIMEDOUT ? 0 : errno;
}
KIND(sem_timedwait, wait_semaphore())

static int wait_mutex(void) {
    struct timespec until = after_wait(CLOCK_REALTIME);
    int result = pthread_mutex_timedlock(&taken, &until);
    return result == ETIMEDOUT ? 0 : result;
}
KIND(mutex_timedlock, wait_mutex())

// These have no time of their own: somebody else ends them, at the end.
static void *wait_for_end(void *unused) {
    while (!atomic_load(&is_over)) nanosleep(&wait_time, NULL);
    return unused;
}
static int wait_join(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_end, NULL) != 0) return EAGAIN;
    return pthread_join(thread, NULL);
}
static int wait_barrier(void) {
    int result = pthread_barrier_wait(&barrier);
    return result == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : result;
}
static sem_t last;
static int wait_cond_for_end(void) {
    pthread_mutex_lock(&cond_mutex);
    while (!atomic_load(&is_over)) pthread_cond_wait(&cond, &cond_mutex);
    return pthread_mutex_unlock(&cond_mutex);
}
static int wait_mutex_for_end(void) {
    int result = pthread_mutex_lock(&taken);
    return result != 0 ? result : pthread_mutex_unlock(&taken);
}
static int wait_rwlock_for_end(void) {
    int result = pthread_rwlock_rdlock(&taken_rwlock);
    return result != 0 ? result : pthread_rwlock_unlock(&taken_rwlock);
}
static int spin(void) {
    int64_t until_ns = clock_monotonic_ns() + WAIT_NS;
    while (clock_monotonic_ns() < until_ns) {}
    return 0;
}
KIND(join, wait_join())
KIND(barrier, wait_barrier())
KIND(sem_wait, outcome(sem_wait(&last), 0))
KIND(cond_wait, wait_cond_for_end())
KIND(mutex_lock, wait_mutex_for_end())
KIND(rdlock, wait_rwlock_for_end())
KIND(spin, spin())

static struct kind {
    const char *name;
    int (*outer)(void);
    bool is_for_end;  // waits once
    pid_t tid, creator_tid;
    int rounds, interrupted, early;
} kinds[] = {
    {"epoll_wait", epoll_wait_outer, false, 0, 0, 0, 0, 0},
    {"epoll_pwait", epoll_pwait_outer, false, 0, 0, 0, 0, 0},
    {"poll", poll_outer, false, 0, 0, 0, 0, 0},
    {"ppoll", ppoll_outer, false, 0, 0, 0, 0, 0},
    {"nanosleep", nanosleep_outer, false, 0, 0, 0, 0, 0},
    {"clock_nanosleep", clock_nanosleep_outer, false, 0, 0, 0, 0, 0},
    {"sleep_until", sleep_until_outer, false, 0, 0, 0, 0, 0},
    {"cond_timedwait", cond_timedwait_outer, false, 0, 0, 0, 0, 0},
    {"sem_timedwait", sem_timedwait_outer, false, 0, 0, 0, 0, 0},
    {"mutex_timedlock", mutex_timedlock_outer, false, 0, 0, 0, 0, 0},
    {"spin", spin_outer, false, 0, 0, 0, 0, 0},
    {"join", join_outer, true, 0, 0, 0, 0, 0},
    {"barrier", barrier_outer, true, 0, 0, 0, 0, 0},
    {"sem_wait", sem_wait_outer, true, 0, 0, 0, 0, 0},
    {"cond_wait", cond_wait_outer, true, 0, 0, 0, 0, 0},
    {"mutex_lock", mutex_lock_outer, true, 0, 0, 0, 0, 0},
    {"rdlock", rdlock_outer, true, 0, 0, 0, 0, 0},
};

static void tick_me(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) abort();
    struct itimerspec period = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};
    timer_settime(timer, 0, &period, NULL);
}

static void wait_once(struct kind *kind) {
    int64_t before_ns = clock_monotonic_ns();
    int failed = kind->outer();
    if (failed == EINTR) kind->interrupted++;
    if (failed != 0 && failed != EINTR) abort();
    // A clock that is set counts in microseconds.
    if (!kind->is_for_end && clock_monotonic_ns() - before_ns < WAIT_NS - NS_PER_MS) kind->early++;
    kind->rounds++;
}

NOINLINE static void *run_kind(void *argument) {
    struct kind *kind = argument;
    kind->tid = (pid_t)syscall(SYS_gettid);
    pthread_setname_np(pthread_self(), kind->name);
    tick_me();
    atomic_fetch_add(&ready_count, 1);
    for (int i = 0; i < (kind->is_for_end ? 1 : rounds); i++) wait_once(kind);
    atomic_fetch_add(&waiting_count, 1);
    // Until the last dump is read: it stays in what it was last in.
    return wait_for_end(NULL);
}

static pthread_t threads[COUNT_OF(kinds)];

NOINLINE static void start_kind(size_t place) {
    kinds[place].creator_tid = (pid_t)syscall(SYS_gettid);
    if (pthread_create(&threads[place], NULL, run_kind, &kinds[place]) != 0) abort();
    __asm__ volatile("");
}

// Every second one has another creator than the first thread.
NOINLINE static void *make_some(void *unused) {
    pthread_setname_np(pthread_self(), "maker");
    for (size_t i = 1; i < COUNT_OF(kinds); i += 2) start_kind(i);
    return wait_for_end(unused);
}

static void *come_and_go(void *unused) {
    pthread_setname_np(pthread_self(), "churn");
    return unused;
}

NOINLINE static void *churn(void *unused) {
    while (!atomic_load(&is_over)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, come_and_go, NULL) != 0) abort();
        pthread_join(thread, NULL);
        atomic_fetch_add(&churned, 1);
    }
    return unused;
}

static int timed_count(void) {
    int count = 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) count += !kinds[i].is_for_end;
    return count;
}

static void let_all_end(void) {
    atomic_store(&is_over, true);
    pthread_mutex_lock(&cond_mutex);
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&cond_mutex);
    pthread_barrier_wait(&barrier);
    sem_post(&last);
    pthread_mutex_unlock(&taken);
    pthread_rwlock_unlock(&taken_rwlock);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) pthread_join(threads[i], NULL);
}

static void ignore_signal(int number) {
    (void)number;
}

static void prepare(void) {
    // With one handler that does not restart, musl hands EINTR through.
    struct sigaction action = {.sa_handler = ignore_signal};
    sigaction(SIGUSR2, &action, NULL);
    epoll = epoll_create1(0);
    if (epoll < 0 || pipe(never) != 0) abort();
    sem_init(&semaphore, 0, 0);
    sem_init(&last, 0, 0);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_mutex_lock(&taken);
    pthread_rwlock_wrlock(&taken_rwlock);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    rounds = atoi(argv[1]);
    prepare();
    program_serve();
    program_wait_for_start();
    pthread_t maker, churner;
    for (size_t i = 0; i < COUNT_OF(kinds); i += 2) start_kind(i);
    pthread_create(&maker, NULL, make_some, NULL);
    pthread_create(&churner, NULL, churn, NULL);
    while (atomic_load(&ready_count) < (int)COUNT_OF(kinds)) sched_yield();
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        printf("thread:%s %d\n", kinds[i].name, (int)kinds[i].tid);
        printf("creator:%s %d\n", kinds[i].name, (int)kinds[i].creator_tid);
    }
    printf("start\n");
    fflush(stdout);
    while (atomic_load(&waiting_count) < timed_count()) nanosleep(&wait_time, NULL);
    printf("waited\n");
    fflush(stdout);
    let_all_end();
    pthread_join(maker, NULL);
    pthread_join(churner, NULL);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        printf("%s:rounds %d\n", kinds[i].name, kinds[i].rounds);
        printf("%s:interrupted %d\n", kinds[i].name, kinds[i].interrupted);
        printf("%s:early %d\n", kinds[i].name, kinds[i].early);
    }
    printf("churned %lld\n", (long long)atomic_load(&churned));
    program_end();
}
