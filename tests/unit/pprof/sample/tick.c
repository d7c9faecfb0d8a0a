// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/prctl.h>

// What the handler calls may change errno.
static int spoiling_prctl(int option, char *name) {
    int result = prctl(option, name);
    errno = ENOTTY;
    return result;
}

#define prctl spoiling_prctl
#include "pprof/sample/tick.c"
#undef prctl

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/pprof/machine.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static struct ring *ring;
static struct thread thread;

// A stack made by hand: two words at the stack pointer, then a chain of two frames.
enum { WORDS = 16 };
static uintptr_t stack[WORDS];
static ucontext_t context;

static int setup(void **state) {
    (void)state;
    ring = malloc(sizeof *ring);
    ring_init(ring);
    memset(stack, 0, sizeof stack);
    stack[2] = 0xaaaa;
    stack[3] = 0xbbbb;
    stack[6] = (uintptr_t)&stack[10];
    stack[7] = 0x1111;
    stack[11] = 0x2222;
    memset(&context, 0, sizeof context);
    set_registers(&context, 0x4242, (uintptr_t)&stack[2], (uintptr_t)&stack[6]);
    thread = (struct thread){.stack_high = (uintptr_t)&stack[WORDS]};
    thread_self = &thread;
    atomic_store(&tick_ring, ring);
    atomic_store(&tick_recorded, 0);
    atomic_store(&tick_dropped, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    thread_self = NULL;
    atomic_store(&tick_ring, NULL);
    assert_int_equal(atomic_load(&tick_in_flight), 0);
    free(ring);
    return 0;
}

static void deliver(int code, int overrun) {
    siginfo_t info = {.si_code = code};
    info.si_overrun = overrun;
    tick_handle(SIGPROF, &info, &context);
}

// The oldest tick; its place is given back.
static struct tick take(void) {
    struct tick tick = {0};
    struct ring_slot *slot = ring_take(ring);
    if (slot == NULL) {
        fail_msg("no tick was recorded");
    } else {
        tick = slot->tick;
        ring_return(ring, slot);
    }
    return tick;
}

static void test_tick__it_holds_the_interrupted_place_the_words_and_the_chain(void **state) {
    (void)state;
    char name[16] = {0};
    prctl(PR_GET_NAME, name);
    prctl(PR_SET_NAME, "fifteen letters");
    deliver(SI_TIMER, 0);
    prctl(PR_SET_NAME, name);
    struct tick tick = take();
    assert_int_equal(tick.weight, 1);
    assert_int_equal(tick.depth, 3);
    assert_true(tick.is_complete);
    assert_int_equal(tick.addresses[0], 0x4242);
    assert_int_equal(tick.addresses[1], 0x1111);
    assert_int_equal(tick.addresses[2], 0x2222);
    assert_int_equal(tick.words[LEAF_CALLER_IN_WORD_0], 0xaaaa);
    assert_int_equal(tick.words[LEAF_CALLER_IN_WORD_1], 0xbbbb);
    assert_memory_equal(tick.thread, "fifteen letters", 16);
}

static void test_tick__overruns_add_to_the_weight(void **state) {
    (void)state;
    deliver(SI_TIMER, 4);
    deliver(SI_TIMER, -1);
    assert_int_equal(take().weight, 5);
    assert_int_equal(take().weight, 1);
    assert_int_equal(atomic_load(&tick_recorded), 6);
    assert_int_equal(atomic_load(&tick_dropped), 0);
}

static void test_tick__errno_is_left_as_it_was(void **state) {
    (void)state;
    errno = ERANGE;
    deliver(SI_TIMER, 0);
    assert_int_equal(errno, ERANGE);
}

// kill(1), raise(3), another library's sigqueue: not ours.
static void test_tick__a_signal_that_no_timer_sent_is_ignored(void **state) {
    (void)state;
    static const int codes[] = {SI_USER, SI_TKILL, SI_QUEUE, SI_KERNEL};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) deliver(codes[i], 0);
    assert_null(ring_take(ring));
    assert_int_equal(atomic_load(&tick_recorded), 0);
}

static void test_tick__a_thread_that_is_not_listed_is_ignored(void **state) {
    (void)state;
    thread_self = NULL;
    deliver(SI_TIMER, 0);
    assert_null(ring_take(ring));
    assert_int_equal(atomic_load(&tick_recorded), 0);
}

// A tick that was on its way when the last window closed.
static void test_tick__without_a_ring_it_goes_nowhere(void **state) {
    (void)state;
    atomic_store(&tick_ring, NULL);
    deliver(SI_TIMER, 7);
    assert_int_equal(atomic_load(&tick_recorded), 0);
    assert_int_equal(atomic_load(&tick_dropped), 0);
}

static void test_tick__what_a_full_ring_loses_is_counted_by_weight(void **state) {
    (void)state;
    for (int i = 0; i < RING_SLOTS; i++) deliver(SI_TIMER, 0);
    deliver(SI_TIMER, 0);
    deliver(SI_TIMER, 9);
    assert_int_equal(atomic_load(&tick_recorded), RING_SLOTS);
    assert_int_equal(atomic_load(&tick_dropped), 11);
}

// Would catch: reading at a stack pointer that is at the stack's end, off it, or crooked.
static void test_tick__words_outside_the_stack_are_zero(void **state) {
    (void)state;
    const uintptr_t places[] = {(uintptr_t)&stack[WORDS - 1], (uintptr_t)&stack[WORDS],
                                (uintptr_t)&stack[2] + 1, UINTPTR_MAX - 7};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        set_registers(&context, 0x4242, places[i], 0);
        deliver(SI_TIMER, 0);
        struct tick tick = take();
        assert_int_equal(tick.words[LEAF_CALLER_IN_WORD_0], 0);
        assert_int_equal(tick.words[LEAF_CALLER_IN_WORD_1], 0);
    }
    set_registers(&context, 0x4242, (uintptr_t)&stack[WORDS - 2], 0);
    deliver(SI_TIMER, 0);
    assert_int_equal(take().depth, 1);
}

// Would catch: a caller that is counted twice, since on AArch64 the unwind table has one row for
// before and after the record is linked.
static void test_tick__a_record_that_is_linked_is_not_told_again(void **state) {
    (void)state;
    set_registers(&context, 0x4242, (uintptr_t)&stack[6], (uintptr_t)&stack[6]);
    deliver(SI_TIMER, 0);
    struct tick tick = take();
    assert_int_equal(tick.words[LEAF_CALLER_IN_WORD_0], 0);
    assert_int_equal(tick.words[LEAF_CALLER_IN_WORD_1], 0);
    assert_int_equal(tick.addresses[1], 0x1111);
}

static void test_tick__a_deep_stack_is_cut_and_says_so(void **state) {
    (void)state;
    enum { FRAMES = STACK_DEPTH + 10 };
    static uintptr_t deep[2 * FRAMES + 2];
    for (size_t i = 0; i < FRAMES; i++) {
        deep[2 * i] = (uintptr_t)&deep[2 * i + 2];
        deep[2 * i + 1] = 0x1000 + i;
    }
    thread.stack_high = (uintptr_t)(deep + sizeof deep / sizeof deep[0]);
    set_registers(&context, 0x4242, (uintptr_t)deep, (uintptr_t)deep);
    deliver(SI_TIMER, 0);
    struct tick tick = take();
    assert_int_equal(tick.depth, STACK_DEPTH);
    assert_false(tick.is_complete);
    assert_int_equal(tick.addresses[STACK_DEPTH - 1], 0x1000 + STACK_DEPTH - 2);
}

static bool has_tick(void) {
    return atomic_load(&tick_recorded) != 0;
}

// A timer on this thread's CPU clock, until it has fired; then a foreign signal.
static void *run_under_timer(void *unused) {
    (void)unused;
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    struct thread self = {.stack_high = (uintptr_t)low + size};
    thread_self = &self;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
    event.sigev_notify_thread_id = (pid_t)gettid();
    timer_t timer;
    assert_int_equal(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer), 0);
    struct itimerspec once = {.it_value.tv_nsec = 1000000};
    assert_int_equal(timer_settime(timer, 0, &once, NULL), 0);
    struct timespec now;
    while (!has_tick()) clock_gettime(CLOCK_MONOTONIC, &now);
    timer_delete(timer);
    raise(TICK_SIGNAL);
    thread_self = NULL;
    return NULL;
}

static void test_tick__a_real_timer_s_is_taken_and_a_raised_one_is_not(void **state) {
    (void)state;
    struct sigaction action = {.sa_sigaction = tick_handle, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction before;
    assert_int_equal(sigaction(TICK_SIGNAL, &action, &before), 0);
    pthread_t runner;
    assert_int_equal(pthread_create(&runner, NULL, run_under_timer, NULL), 0);
    pthread_join(runner, NULL);
    sigaction(TICK_SIGNAL, &before, NULL);
    struct tick tick = take();
    assert_true(tick.depth >= 1);
    assert_null(ring_take(ring));
    assert_int_equal(atomic_load(&tick_recorded), tick.weight);
}
