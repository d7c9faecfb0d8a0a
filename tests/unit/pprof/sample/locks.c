// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/locks.c"

#include "base/clock.h"
#include "pprof/sample/thread.h"

static int setup_all(void **state) {
    (void)state;
    contention_init(1, 1);
    return thread_enter_main() == STATUS_OK ? 0 : -1;
}

static int64_t sum_of(const struct source *source, int value) {
    struct store samples = {0};
    assert_int_equal(source->collect(&samples, source->context), STATUS_OK);
    int64_t sum = 0;
    for (const struct sample *s = samples.first; s != NULL; s = s->next) sum += s->values[value];
    store_done(&samples);
    return sum;
}

static int64_t blocked(void) {
    return sum_of(&block_source, 0);
}

static struct timespec past(void) {
    return (struct timespec){.tv_sec = 1};
}

static pthread_mutex_t kind_of_mutex(int kind) {
    pthread_mutex_t mutex;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kind);
    pthread_mutex_init(&mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return mutex;
}

static void test_locks__a_free_lock_is_no_contention(void **state) {
    (void)state;
    int64_t before = blocked();
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
    sem_t semaphore;
    sem_init(&semaphore, 0, 1);
    assert_int_equal(pthread_mutex_lock(&mutex), 0);
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
    assert_int_equal(pthread_rwlock_rdlock(&rwlock), 0);
    assert_int_equal(pthread_rwlock_unlock(&rwlock), 0);
    assert_int_equal(pthread_rwlock_wrlock(&rwlock), 0);
    assert_int_equal(pthread_rwlock_unlock(&rwlock), 0);
    assert_int_equal(sem_wait(&semaphore), 0);
    assert_int_equal(blocked(), before);
}

// Would catch: results that the wrapper swallows or invents.
static void test_locks__each_kind_of_mutex_answers_as_without_us(void **state) {
    (void)state;
    pthread_mutex_t checking = kind_of_mutex(PTHREAD_MUTEX_ERRORCHECK);
    assert_int_equal(pthread_mutex_lock(&checking), 0);
    assert_int_equal(pthread_mutex_lock(&checking), EDEADLK);
    assert_int_equal(pthread_mutex_unlock(&checking), 0);
    pthread_mutex_t recursive = kind_of_mutex(PTHREAD_MUTEX_RECURSIVE);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_mutex_lock(&recursive), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_mutex_unlock(&recursive), 0);
    pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
    struct timespec until = past();
    assert_int_equal(pthread_mutex_timedlock(&plain, &until), 0);
    assert_int_equal(pthread_mutex_timedlock(&plain, &until), ETIMEDOUT);
    assert_int_equal(pthread_mutex_unlock(&plain), 0);
}

static void test_locks__timeouts_and_errno_come_through(void **state) {
    (void)state;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec until = past();
    pthread_mutex_lock(&mutex);
    assert_int_equal(pthread_cond_timedwait(&condition, &mutex, &until), ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    errno = 0;
    assert_int_equal(sem_timedwait(&semaphore, &until), -1);
    assert_int_equal(errno, ETIMEDOUT);
}

struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    sem_t begun;
    int turn;
};

// Holds the lock until somebody waits for it.
static void *hold_until_waited_for(void *argument) {
    struct meeting *meeting = argument;
    pthread_mutex_lock(&meeting->mutex);
    sem_post(&meeting->begun);
    while (!contention_is_waited_for(&meeting->mutex)) {}
    pthread_mutex_unlock(&meeting->mutex);
    return argument;
}

static void test_locks__a_taken_lock_is_in_both_profiles(void **state) {
    (void)state;
    struct meeting meeting = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    sem_init(&meeting.begun, 0, 0);
    pthread_t holder;
    assert_int_equal(pthread_create(&holder, NULL, hold_until_waited_for, &meeting), 0);
    while (sem_wait(&meeting.begun) != 0) {}
    int64_t before = blocked();
    int64_t charged = sum_of(&mutex_source, 0);
    assert_int_equal(pthread_mutex_lock(&meeting.mutex), 0);
    assert_int_equal(blocked(), before + 1);
    assert_int_equal(pthread_mutex_unlock(&meeting.mutex), 0);
    void *result;
    assert_int_equal(pthread_join(holder, &result), 0);
    assert_ptr_equal(result, &meeting);
    assert_int_equal(sum_of(&mutex_source, 0), charged + 1);
}

static void *play(void *argument) {
    struct meeting *meeting = argument;
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&meeting->mutex);
        while (meeting->turn % 2 != 1) pthread_cond_wait(&meeting->condition, &meeting->mutex);
        meeting->turn++;
        pthread_cond_signal(&meeting->condition);
        pthread_mutex_unlock(&meeting->mutex);
    }
    return NULL;
}

// Would catch: a wrapper that loses a wake-up or the mutex.
static void test_locks__conditions_hand_over_to_and_fro(void **state) {
    (void)state;
    struct meeting meeting = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                              .condition = PTHREAD_COND_INITIALIZER};
    pthread_t other;
    pthread_create(&other, NULL, play, &meeting);
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&meeting.mutex);
        while (meeting.turn % 2 != 0) pthread_cond_wait(&meeting.condition, &meeting.mutex);
        meeting.turn++;
        pthread_cond_signal(&meeting.condition);
        pthread_mutex_unlock(&meeting.mutex);
    }
    pthread_join(other, NULL);
    assert_int_equal(meeting.turn, 1000);
}

static pthread_mutex_t counted = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t guarded = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t together;
static int total, guarded_total;

static void *count_up(void *unused) {
    pthread_barrier_wait(&together);
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&counted);
        total++;
        pthread_mutex_unlock(&counted);
        if (i % 4 == 0) {
            pthread_rwlock_wrlock(&guarded);
            guarded_total++;
        } else {
            pthread_rwlock_rdlock(&guarded);
        }
        pthread_rwlock_unlock(&guarded);
    }
    return unused;
}

static void test_locks__many_threads_exclude_each_other(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    pthread_barrier_init(&together, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, count_up, NULL);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&together);
    assert_int_equal(total, THREADS * 20000);
    assert_int_equal(guarded_total, THREADS * 5000);
    assert_false(contention_is_waited_for(&counted));
}

static void unlock(void *mutex) {
    pthread_mutex_unlock(mutex);
}

// Not instrumented: AddressSanitizer cannot follow a cancellation through the frames that it skips.
NO_SANITIZE_ADDRESS static void *wait_to_be_cancelled(void *argument) {
    struct meeting *meeting = argument;
    pthread_mutex_lock(&meeting->mutex);
    pthread_cleanup_push(unlock, &meeting->mutex);
    meeting->turn = 1;
    for (;;) pthread_cond_wait(&meeting->condition, &meeting->mutex);
    pthread_cleanup_pop(1);
    return NULL;
}

// The wrapper's end never runs then; the lists must be in order all the same.
static void test_locks__a_thread_that_is_cancelled_while_it_waits_leaves_no_trace(void **state) {
    (void)state;
    struct meeting meeting = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                              .condition = PTHREAD_COND_INITIALIZER};
    size_t before = thread_count();
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        meeting.turn = 0;
        pthread_create(&thread, NULL, wait_to_be_cancelled, &meeting);
        bool is_waiting = false;
        while (!is_waiting) {
            pthread_mutex_lock(&meeting.mutex);
            is_waiting = meeting.turn == 1;
            pthread_mutex_unlock(&meeting.mutex);
        }
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        assert_int_equal(pthread_mutex_lock(&meeting.mutex), 0);
        pthread_mutex_unlock(&meeting.mutex);
        assert_false(contention_is_waited_for(&meeting.mutex));
    }
    assert_int_equal(thread_count(), before);
}
