// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/wait.c"

#include <sys/syscall.h>
#include <unistd.h>

#include "pprof/sample/tick.h"

static sem_t begun;
static volatile bool has_foreign_signal;

static int setup_all(void **state) {
    (void)state;
    struct sigaction ours = {.sa_sigaction = tick_handle_dump, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (sigaction(TICK_DUMP_SIGNAL, &ours, NULL) != 0) return -1;
    return thread_enter_main() == STATUS_OK ? 0 : -1;
}

static int setup(void **state) {
    (void)state;
    has_foreign_signal = false;
    return sem_init(&begun, 0, 0);
}

static void note_foreign_signal(int number) {
    (void)number;
    has_foreign_signal = true;
}

// A call that waits, in a thread of its own; its result and errno.
struct call {
    int (*run)(struct call *call);
    int ends[2];  // of a pipe
    int result, error;
    int64_t took_ns;
    struct timespec left;
    pid_t tid;
    atomic_bool is_done;
};

static void *run_call(void *argument) {
    struct call *call = argument;
    call->tid = (pid_t)syscall(SYS_gettid);
    sem_post(&begun);
    int64_t start_ns = clock_monotonic_ns();
    errno = 0;
    call->result = call->run(call);
    call->error = errno;
    call->took_ns = clock_monotonic_ns() - start_ns;
    atomic_store(&call->is_done, true);
    return NULL;
}

// Sends signals to the call all the time until `end` is due, then lets it end.
static void run_under_signals(struct call *call, int number, bool writes) {
    assert_int_equal(pipe(call->ends), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_call, call), 0);
    while (sem_wait(&begun) != 0) {}
    for (int i = 0; i < 200 && !atomic_load(&call->is_done); i++) {
        syscall(SYS_tgkill, getpid(), call->tid, number);
        __real_nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    if (writes) assert_int_equal(write(call->ends[1], "x", 1), 1);
    pthread_join(thread, NULL);
    close(call->ends[0]);
    close(call->ends[1]);
}

static int poll_pipe(struct call *call) {
    struct pollfd watched = {.fd = call->ends[0], .events = POLLIN};
    return poll(&watched, 1, -1);
}

static int ppoll_pipe(struct call *call) {
    struct pollfd watched = {.fd = call->ends[0], .events = POLLIN};
    return ppoll(&watched, 1, NULL, NULL);
}

static int ppoll_pipe_with_timeout(struct call *call) {
    struct pollfd watched = {.fd = call->ends[0], .events = POLLIN};
    return ppoll(&watched, 1, &(struct timespec){.tv_sec = 3600}, NULL);
}

static int open_epoll(const struct call *call) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, call->ends[0], &event);
    return epoll;
}

static int epoll_wait_pipe(struct call *call) {
    int epoll = open_epoll(call);
    struct epoll_event event;
    int result = epoll_wait(epoll, &event, 1, -1);
    close(epoll);
    return result;
}

static int epoll_pwait_pipe(struct call *call) {
    int epoll = open_epoll(call);
    struct epoll_event event;
    int result = epoll_pwait(epoll, &event, 1, 3600000, NULL);
    close(epoll);
    return result;
}

// Would catch: an EINTR that a program without a profiler would never see.
static void test_wait__our_signals_do_not_end_a_wait_for_a_descriptor(void **state) {
    (void)state;
    int (*const calls[])(struct call *) = {poll_pipe, ppoll_pipe, ppoll_pipe_with_timeout,
                                           epoll_wait_pipe, epoll_pwait_pipe};
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct call call = {.run = calls[i]};
        run_under_signals(&call, TICK_DUMP_SIGNAL, true);
        assert_int_equal(call.result, 1);
    }
}

static void test_wait__a_signal_of_the_program_s_own_still_does(void **state) {
    (void)state;
    struct sigaction foreign = {.sa_handler = note_foreign_signal};
    struct sigaction before;
    sigaction(SIGUSR1, &foreign, &before);
    int (*const calls[])(struct call *) = {poll_pipe, ppoll_pipe, epoll_wait_pipe,
                                           epoll_pwait_pipe};
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct call call = {.run = calls[i]};
        run_under_signals(&call, SIGUSR1, false);
        assert_int_equal(call.result, -1);
        assert_int_equal(call.error, EINTR);
        assert_true(has_foreign_signal);
    }
    sigaction(SIGUSR1, &before, NULL);
}

enum { NAP_NS = 30000000 };

static int poll_for_a_while(struct call *call) {
    struct pollfd watched = {.fd = call->ends[0], .events = POLLIN};
    return poll(&watched, 1, NAP_NS / 1000000);
}

static int ppoll_for_a_while(struct call *call) {
    struct pollfd watched = {.fd = call->ends[0], .events = POLLIN};
    return ppoll(&watched, 1, &(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

static int nap(struct call *call) {
    (void)call;
    return nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

static int clock_nap(struct call *call) {
    (void)call;
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

static int nap_until(struct call *call) {
    (void)call;
    struct timespec until = timespec_of(clock_monotonic_ns() + NAP_NS);
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

// Would catch: a wait that starts anew with each signal and so never ends, or that ends early.
static void test_wait__a_time_is_waited_for_to_its_end_and_no_longer(void **state) {
    (void)state;
    int (*const calls[])(struct call *) = {poll_for_a_while, ppoll_for_a_while, nap, clock_nap,
                                           nap_until};
    // ThreadSanitizer does not know clock_nanosleep: the handler would run after it.
    size_t count = COUNT_OF(calls) - (HAS_THREAD_SANITIZER ? 2 : 0);
    for (size_t i = 0; i < count; i++) {
        struct call call = {.run = calls[i]};
        run_under_signals(&call, TICK_DUMP_SIGNAL, false);
        assert_int_equal(call.result, 0);
        assert_true(call.took_ns >= NAP_NS);
    }
}

static int nap_for_an_hour(struct call *call) {
    return nanosleep(&(struct timespec){.tv_sec = 3600}, &call->left);
}

static int clock_nap_for_an_hour(struct call *call) {
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_sec = 3600}, &call->left);
}

static void test_wait__a_sleep_that_is_interrupted_says_what_is_left(void **state) {
    (void)state;
    struct sigaction foreign = {.sa_handler = note_foreign_signal};
    struct sigaction before;
    sigaction(SIGUSR1, &foreign, &before);
    struct call call = {.run = nap_for_an_hour};
    run_under_signals(&call, SIGUSR1, false);
    assert_int_equal(call.result, -1);
    assert_int_equal(call.error, EINTR);
    assert_in_range(call.left.tv_sec, 3000, 3600);
    call = (struct call){.run = clock_nap_for_an_hour};
    run_under_signals(&call, SIGUSR1, false);
    assert_int_equal(call.result, EINTR);
    assert_in_range(call.left.tv_sec, 3000, 3600);
    sigaction(SIGUSR1, &before, NULL);
}

static void test_wait__errors_come_through(void **state) {
    (void)state;
    struct epoll_event event;
    assert_int_equal(epoll_wait(-1, &event, 1, 0), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(nanosleep(&(struct timespec){.tv_nsec = -1}, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = -1}, NULL),
                     EINVAL);
    assert_int_equal(poll(NULL, 0, 0), 0);
    struct pollfd closed = {.fd = -1};
    assert_int_equal(ppoll(&closed, 1, &(struct timespec){.tv_sec = -1}, NULL), -1);
    assert_int_equal(errno, EINVAL);
}

// "For ever" as some write it; the sum with the clock must not overflow.
static void test_wait__the_longest_time_is_no_overflow(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    struct pollfd watched = {.fd = ends[0], .events = POLLIN};
    struct timespec longest = {.tv_sec = INT64_MAX, .tv_nsec = 999999999};
    assert_int_equal(ppoll(&watched, 1, &longest, NULL), 1);
    assert_int_equal(poll(&watched, 1, INT32_MAX), 1);
    close(ends[0]);
    close(ends[1]);
}

static void test_wait__a_thread_is_parked_only_meanwhile(void **state) {
    (void)state;
    assert_int_equal(atomic_load(&thread_self->park_sequence) % 2, 0);
    unsigned before = atomic_load(&thread_self->park_sequence);
    poll(NULL, 0, 0);
    assert_int_equal(atomic_load(&thread_self->park_sequence), before + 2);
}
