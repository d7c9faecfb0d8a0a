// SPDX-License-Identifier: Apache-2.0
// The functions that the linker puts our own in front of (see ../wrapped), under the names by which
// it leaves the originals reachable. The library's own locks use them: it does not profile itself,
// and a lock that is taken while a contention is recorded must not record one.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __real_pthread_join(pthread_t thread, void **result);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __real_pthread_barrier_wait(pthread_barrier_t *barrier);
int __real_sem_wait(sem_t *semaphore);
int __real_sem_timedwait(sem_t *semaphore, const struct timespec *until);
int __real_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms);
int __real_epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms,
                       const sigset_t *mask);
int __real_poll(struct pollfd *watched, nfds_t count, int timeout_ms);
int __real_ppoll(struct pollfd *watched, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __real_nanosleep(const struct timespec *duration, struct timespec *left);
int __real_clock_nanosleep(clockid_t clock, int flags, const struct timespec *duration,
                           struct timespec *left);

static inline void plain_lock(pthread_mutex_t *mutex) {
    __real_pthread_mutex_lock(mutex);
}

static inline void plain_unlock(pthread_mutex_t *mutex) {
    __real_pthread_mutex_unlock(mutex);
}
