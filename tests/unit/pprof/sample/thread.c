// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

static _Bool has_no_memory;

static void *failing_calloc(size_t count, size_t size) {
    return has_no_memory ? NULL : calloc(count, size);
}

#define calloc failing_calloc
#include "pprof/sample/thread.c"
#undef calloc

#include <sched.h>
#include <semaphore.h>

static sem_t begun, may_end;

static int setup(void **state) {
    (void)state;
    has_no_memory = false;
    is_disabled = false;
    sem_init(&begun, 0, 0);
    sem_init(&may_end, 0, 0);
    return 0;
}

static int setup_all(void **state) {
    (void)state;
    unsetenv("DISABLE_PPROF");
    return thread_enter_main() == STATUS_OK ? 0 : -1;
}

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {}
}

// Waits inside until it may end; says what it saw of itself.
static void *stay(void *ret_self) {
    if (ret_self != NULL) *(struct thread **)ret_self = thread_self;
    sem_post(&begun);
    wait_for(&may_end);
    return thread_self;
}

// Never returns. It is cancelled here and not in a call that blocks: ThreadSanitizer loses count of
// the locks of a thread that ends inside one of its own functions.
static void *stay_until_cancelled(void *ret_self) {
    if (ret_self != NULL) *(struct thread **)ret_self = thread_self;
    sem_post(&begun);
    for (;;) {
        pthread_testcancel();
        sched_yield();
    }
    return NULL;
}

static pthread_t start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
    return thread;
}

static void test_thread__the_first_is_listed_once(void **state) {
    (void)state;
    assert_int_equal(thread_count(), 1);
    assert_int_equal(thread_enter_main(), STATUS_OK);
    assert_int_equal(thread_count(), 1);
    assert_non_null(thread_self);
    assert_int_equal(thread_self->tid, getpid());
    int local;
    assert_true(thread_self->stack_high > (uintptr_t)&local);
}

static void test_thread__a_created_one_is_listed_until_it_returns(void **state) {
    (void)state;
    struct thread *self = NULL;
    pthread_t thread = start(stay, &self);
    wait_for(&begun);
    assert_int_equal(thread_count(), 2);
    assert_non_null(self);
    assert_ptr_not_equal(self, thread_self);
    sem_post(&may_end);
    void *result;
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, self);  // what it returned reaches the joiner
    assert_int_equal(thread_count(), 1);
}

// Would catch: bounds of another stack, or an end that is below the thread's own frames.
static void *check_bounds(void *argument) {
    int local;
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    *(bool *)argument = thread_self->tid == (pid_t)syscall(SYS_gettid) &&
                        (uintptr_t)&local < thread_self->stack_high &&
                        thread_self->stack_high == (uintptr_t)low + size;
    return NULL;
}

static void test_thread__each_knows_its_own_id_and_the_end_of_its_stack(void **state) {
    (void)state;
    bool is_right = false;
    pthread_join(start(check_bounds, &is_right), NULL);
    assert_true(is_right);
}

static void *exit_deep(void *argument) {
    pthread_exit(argument);
}

static void test_thread__pthread_exit_leaves_the_list(void **state) {
    (void)state;
    int value;
    void *result;
    pthread_join(start(exit_deep, &value), &result);
    assert_ptr_equal(result, &value);
    assert_int_equal(thread_count(), 1);
}

static void test_thread__a_cancelled_one_leaves_the_list(void **state) {
    (void)state;
    pthread_t thread = start(stay_until_cancelled, NULL);
    wait_for(&begun);
    assert_int_equal(thread_count(), 2);
    pthread_cancel(thread);
    void *result;
    pthread_join(thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(thread_count(), 1);
}

static void test_thread__one_cancelled_before_it_runs_leaves_the_list(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        pthread_t thread = start(stay_until_cancelled, NULL);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    assert_int_equal(thread_count(), 1);
}

static void test_thread__many_come_and_go_in_any_order(void **state) {
    (void)state;
    enum { COUNT = 40 };
    pthread_t threads[COUNT];
    for (int i = 0; i < COUNT; i++) threads[i] = start(stay_until_cancelled, NULL);
    for (int i = 0; i < COUNT; i++) wait_for(&begun);
    assert_int_equal(thread_count(), 1 + COUNT);
    for (int i = 0; i < COUNT; i++) pthread_cancel(threads[i * 7 % COUNT]);
    for (int i = 0; i < COUNT; i++) pthread_join(threads[i], NULL);
    assert_int_equal(thread_count(), 1);
    assert_ptr_equal(first, thread_self);
    assert_null(first->next);
    assert_null(first->previous);
}

static void test_thread__disabled_nobody_is_listed(void **state) {
    (void)state;
    assert_false(thread_is_disabled());
    is_disabled = true;
    void *result = &result;
    pthread_t thread = start(stay, NULL);
    wait_for(&begun);
    assert_int_equal(thread_count(), 1);
    sem_post(&may_end);
    pthread_join(thread, &result);
    assert_null(result);  // it has no entry of its own
}

static void test_thread__without_memory_it_runs_unlisted(void **state) {
    (void)state;
    has_no_memory = true;
    pthread_t thread = start(stay, NULL);
    wait_for(&begun);
    assert_int_equal(thread_count(), 1);
    sem_post(&may_end);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

// AddressSanitizer would see the entry leak.
static void test_thread__a_creation_that_fails_is_told_and_lists_nothing(void **state) {
    (void)state;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)1 << 48);  // more than there are addresses
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, stay, NULL);
    pthread_attr_destroy(&attributes);
    assert_int_not_equal(error, 0);
    assert_int_equal(thread_count(), 1);
}

enum { SEEN_MOST = 64 };

// Guarded by the list's lock, like all that a watcher does.
static struct thread *visited[SEEN_MOST], *left[SEEN_MOST];
static size_t visited_count, left_count;
static sem_t somebody_left;

static void visit(struct thread *thread) {
    visited[visited_count++] = thread;
    thread->has_timer = true;
}

static void leave_one(struct thread *thread) {
    left[left_count++] = thread;
    thread->has_timer = false;
    sem_post(&somebody_left);
}

static int setup_thread__a_watcher_meets_each_once_and_each_leaves_once(void **state) {
    sem_init(&somebody_left, 0, 0);
    visited_count = left_count = 0;
    return setup(state);
}

static size_t count_of(struct thread *thread, struct thread *const *list, size_t len) {
    size_t times = 0;
    for (size_t i = 0; i < len; i++) times += list[i] == thread;
    return times;
}

static void test_thread__a_watcher_meets_each_once_and_each_leaves_once(void **state) {
    (void)state;
    struct thread *early, *late, *brief;
    pthread_t early_thread = start(stay, &early);
    wait_for(&begun);
    thread_watch(visit, leave_one);
    assert_int_equal(visited_count, 2);
    pthread_t late_thread = start(stay, &late);
    wait_for(&begun);
    assert_int_equal(visited_count, 3);
    assert_int_equal(left_count, 0);

    pthread_t brief_thread = start(stay_until_cancelled, &brief);
    wait_for(&begun);
    pthread_cancel(brief_thread);
    pthread_join(brief_thread, NULL);
    assert_int_equal(left_count, 1);
    assert_ptr_equal(left[0], brief);

    thread_watch(NULL, NULL);
    assert_int_equal(visited_count, 4);
    assert_int_equal(left_count, 4);
    struct thread *const all[] = {early, late, thread_self};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_equal(count_of(all[i], visited, visited_count), 1);
        assert_int_equal(count_of(all[i], left, left_count), 1);
    }
    // After the end nobody is told any more.
    sem_post(&may_end);
    sem_post(&may_end);
    pthread_join(early_thread, NULL);
    pthread_join(late_thread, NULL);
    pthread_join(start(exit_deep, NULL), NULL);
    assert_int_equal(visited_count, 4);
    assert_int_equal(left_count, 4);
}

static int setup_thread__a_detached_one_leaves_too(void **state) {
    return setup_thread__a_watcher_meets_each_once_and_each_leaves_once(state);
}

static void test_thread__a_detached_one_leaves_too(void **state) {
    (void)state;
    thread_watch(visit, leave_one);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, &attributes, exit_deep, NULL), 0);
    pthread_attr_destroy(&attributes);
    wait_for(&somebody_left);
    thread_watch(NULL, NULL);
    assert_int_equal(thread_count(), 1);
    assert_int_equal(left_count, 2);
}
