// SPDX-License-Identifier: Apache-2.0
// What stands in front of the calls that wait for other threads. Each tries without waiting first:
// a lock that is free costs little more than before.
#include <errno.h>

#include "base/attributes.h"
#include "pprof/libc/plain.h"
#include "pprof/sample/contention.h"
#include "pprof/sample/thread.h"

// Runs `call` as a wait. `name` is the function that blocks.
#define WAIT(state, lock, name, call)                                                              \
    do {                                                                                           \
        struct contention wait;                                                                    \
        const void *frame = __builtin_frame_address(0);                                            \
        contention_begin(&wait, (state), (lock), frame, (uintptr_t)(name));                        \
        int outcome = (call);                                                                      \
        int saved_errno = errno;                                                                   \
        contention_end(&wait, frame, (uintptr_t)(name));                                           \
        errno = saved_errno;                                                                       \
        return outcome;                                                                            \
    } while (0)

#define RELEASE(lock, name)                                                                        \
    do {                                                                                           \
        if (UNLIKELY(contention_is_waited_for(lock))) {                                            \
            contention_release_slowly((lock), __builtin_frame_address(0), (uintptr_t)(name));      \
        }                                                                                          \
    } while (0)

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __wrap_pthread_barrier_wait(pthread_barrier_t *barrier);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_sem_wait(sem_t *semaphore);
int __wrap_sem_timedwait(sem_t *semaphore, const struct timespec *until);

// EBUSY alone means "not yours": any other result is the lock's own answer (EOWNERDEAD has already
// locked), and an error-checking mutex that is ours already says EDEADLK only when we lock it.
NOINLINE static int lock_slowly(pthread_mutex_t *mutex) {
    WAIT("sync.Mutex.Lock", mutex, __real_pthread_mutex_lock, __real_pthread_mutex_lock(mutex));
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    int result = pthread_mutex_trylock(mutex);
    if (LIKELY(result != EBUSY)) return result;
    return lock_slowly(mutex);
}

int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
    int result = pthread_mutex_trylock(mutex);
    if (LIKELY(result != EBUSY)) return result;
    WAIT("sync.Mutex.Lock", mutex, __real_pthread_mutex_timedlock,
         __real_pthread_mutex_timedlock(mutex, until));
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    RELEASE(mutex, __real_pthread_mutex_unlock);
    return __real_pthread_mutex_unlock(mutex);
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock) {
    int result = pthread_rwlock_tryrdlock(lock);
    if (LIKELY(result != EBUSY)) return result;
    WAIT("sync.RWMutex.RLock", lock, __real_pthread_rwlock_rdlock,
         __real_pthread_rwlock_rdlock(lock));
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock) {
    int result = pthread_rwlock_trywrlock(lock);
    if (LIKELY(result != EBUSY)) return result;
    WAIT("sync.RWMutex.Lock", lock, __real_pthread_rwlock_wrlock,
         __real_pthread_rwlock_wrlock(lock));
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock) {
    RELEASE(lock, __real_pthread_rwlock_unlock);
    return __real_pthread_rwlock_unlock(lock);
}

// Waiting gives the mutex back, and takes it again inside the same call.
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
    RELEASE(mutex, __real_pthread_cond_wait);
    WAIT("sync.Cond.Wait", NULL, __real_pthread_cond_wait,
         __real_pthread_cond_wait(condition, mutex));
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until) {
    RELEASE(mutex, __real_pthread_cond_timedwait);
    WAIT("sync.Cond.Wait", NULL, __real_pthread_cond_timedwait,
         __real_pthread_cond_timedwait(condition, mutex, until));
}

int __wrap_pthread_barrier_wait(pthread_barrier_t *barrier) {
    WAIT("barrier wait", NULL, __real_pthread_barrier_wait, __real_pthread_barrier_wait(barrier));
}

int __wrap_pthread_join(pthread_t thread, void **result_of_thread) {
    WAIT("thread join", NULL, __real_pthread_join, __real_pthread_join(thread, result_of_thread));
}

// The next two return EINTR, SA_RESTART or not, where the program has a handler without it (musl
// keeps count). Ours alone is no reason to; see wait.c.
#define NOT_FOR_US(call)                                                                           \
    ({                                                                                             \
        unsigned before;                                                                           \
        int answer;                                                                                \
        do {                                                                                       \
            before = thread_interruptions();                                                       \
            answer = (call);                                                                       \
        } while (answer != 0 && errno == EINTR && thread_interruptions() != before);               \
        answer;                                                                                    \
    })

int __wrap_sem_wait(sem_t *semaphore) {
    if (LIKELY(sem_trywait(semaphore) == 0)) return 0;
    WAIT("semacquire", NULL, __real_sem_wait, NOT_FOR_US(__real_sem_wait(semaphore)));
}

int __wrap_sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    if (LIKELY(sem_trywait(semaphore) == 0)) return 0;
    WAIT("semacquire", NULL, __real_sem_timedwait,
         NOT_FOR_US(__real_sem_timedwait(semaphore, until)));
}
