// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "pprof/libc/plain.h"
#include "pprof/sample/create.h"
#include "pprof/sample/tick.h"

_Thread_local struct thread *thread_self;
_Thread_local uint32_t thread_labels;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static struct thread *first;
static size_t count;
static void (*watcher_visit)(struct thread *);
static void (*watcher_leave)(struct thread *);

// What a new thread is to run, handed from its creator to itself.
struct start {
    struct thread thread;
    void *(*run)(void *);
    void *argument;
};

static pthread_once_t disabled_once = PTHREAD_ONCE_INIT;
static bool is_disabled;

static void read_disabled(void) {
    is_disabled = getenv("DISABLE_PPROF") != NULL;
}

bool thread_is_disabled(void) {
    pthread_once(&disabled_once, read_disabled);
    return is_disabled;
}

static void enter(struct thread *thread, uintptr_t stack_high) {
    thread->tid = (pid_t)syscall(SYS_gettid);
    thread->stack_high = stack_high;
    plain_lock(&lock);
    thread->next = first;
    thread->previous = NULL;
    if (first != NULL) first->previous = thread;
    first = thread;
    count++;
    thread_self = thread;
    if (watcher_visit != NULL) watcher_visit(thread);
    plain_unlock(&lock);
}

static void leave(struct thread *thread) {
    plain_lock(&lock);
    if (watcher_leave != NULL) watcher_leave(thread);
    thread_self = NULL;
    // A dump that asked this thread need not wait: it goes without a stack.
    struct tick_request *request = atomic_exchange(&thread->request, NULL);
    if (request != NULL) atomic_store(&request->is_done, true);
    if (thread->next != NULL) thread->next->previous = thread->previous;
    if (thread->previous != NULL) thread->previous->next = thread->next;
    if (first == thread) first = thread->next;
    count--;
    plain_unlock(&lock);
}

enum status thread_enter_main(void) {
    static struct thread main_thread;
    if (thread_self != NULL) return STATUS_OK;
    // The kernel puts these bytes above every frame of the first thread.
    uintptr_t stack_high = (uintptr_t)getauxval(AT_RANDOM);
    if (stack_high == 0) return STATUS_UNSUPPORTED;
    enter(&main_thread, stack_high);
    return STATUS_OK;
}

void thread_watch(void (*visit)(struct thread *), void (*leave_one)(struct thread *)) {
    plain_lock(&lock);
    void (*call)(struct thread *) = visit != NULL ? visit : watcher_leave;
    for (struct thread *thread = first; thread != NULL; thread = thread->next) call(thread);
    watcher_visit = visit;
    watcher_leave = visit != NULL ? leave_one : NULL;
    plain_unlock(&lock);
}

size_t thread_count(void) {
    plain_lock(&lock);
    size_t now = count;
    plain_unlock(&lock);
    return now;
}

struct thread *thread_lock_list(void) {
    plain_lock(&lock);
    return first;
}

void thread_unlock_list(void) {
    plain_unlock(&lock);
}

bool thread_park(thread_state state, const void *frame, uintptr_t leaf) {
    struct thread *thread = thread_self;
    if (thread == NULL) return false;
    unsigned sequence = atomic_load_explicit(&thread->park_sequence, memory_order_relaxed);
    if (sequence % 2 == 1) return false;
    atomic_store_explicit(&thread->park_frame, (uintptr_t)frame, memory_order_relaxed);
    atomic_store_explicit(&thread->park_leaf, leaf, memory_order_relaxed);
    atomic_store_explicit(&thread->park_state, state, memory_order_relaxed);
    atomic_store_explicit(&thread->park_since_ns, clock_monotonic_ns(), memory_order_relaxed);
    // pairs with the acquire in dump.c
    atomic_store_explicit(&thread->park_sequence, sequence + 1, memory_order_release);
    return true;
}

void thread_unpark(bool is_parked) {
    if (!is_parked) return;
    // Nothing that follows may be seen before it: the frames are about to go.
    atomic_fetch_add(&thread_self->park_sequence, 1);
}

static uintptr_t find_stack_high(void) {
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    return (uintptr_t)low + size;
}

static void leave_and_free(void *argument) {
    struct start *start = argument;
    leave(&start->thread);
    free(start);
}

static void *run_listed(void *argument) {
    struct start *start = argument;
    void *result;
    // Before anything can end the thread, so that it always leaves the list.
    pthread_cleanup_push(leave_and_free, start);
    enter(&start->thread, find_stack_high());
    result = start->run(start->argument);
    pthread_cleanup_pop(1);
    return result;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument) {
    struct start *start = thread_is_disabled() ? NULL : calloc(1, sizeof *start);
    // A thread that cannot be listed is still a thread.
    if (start == NULL) return __real_pthread_create(thread, attributes, run, argument);
    start->run = run;
    start->argument = argument;
    start->thread.creator_tid = thread_self != NULL ? thread_self->tid : 0;
    start->thread.created_at = (uintptr_t)__builtin_return_address(0) - 1;
    int error = __real_pthread_create(thread, attributes, run_listed, start);
    if (error != 0) {
        free(start);
        return error;
    }
    create_record(__builtin_frame_address(0));
    return 0;
}
