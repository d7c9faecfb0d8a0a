// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/patience.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "pprof/libc/plain.h"
#include "pprof/sample/thread.h"

struct patience {
    /* immutable */
    int socket;
    /* guarded by lock */
    int64_t deadline_ns;  // INT64_MAX: none
    struct patience *next, *previous;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
/* guarded by lock */
static struct patience *first;
static bool is_stopping;
static pthread_t watcher;

// Shuts down what is over; returns the nearest deadline of the rest.
static int64_t end_overdue(int64_t now_ns) {
    int64_t nearest_ns = INT64_MAX;
    for (struct patience *one = first; one != NULL; one = one->next) {
        if (one->deadline_ns <= now_ns) {
            // Not close: the number stays the library's, which notices and cleans up.
            shutdown(one->socket, SHUT_RDWR);
            one->deadline_ns = INT64_MAX;
        }
        if (one->deadline_ns < nearest_ns) nearest_ns = one->deadline_ns;
    }
    return nearest_ns;
}

// Not through the wrapped calls: the profiler's own idling is nobody's contention.
static void wait_until(int64_t until_ns) {
    bool is_parked = thread_park("idle", __builtin_frame_address(0), (uintptr_t)wait_until);
    if (until_ns == INT64_MAX) {
        __real_pthread_cond_wait(&changed, &lock);
    } else {
        struct timespec until = {.tv_sec = until_ns / NS_PER_SECOND,
                                 .tv_nsec = until_ns % NS_PER_SECOND};
        __real_pthread_cond_timedwait(&changed, &lock, &until);
    }
    thread_unpark(is_parked);
}

static void *watch(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "pprof-patience");
    plain_lock(&lock);
    while (!is_stopping) {
        int64_t until_ns = end_overdue(clock_monotonic_ns());
        wait_until(until_ns);
    }
    plain_unlock(&lock);
    return NULL;
}

enum status patience_start(void) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    is_stopping = false;
    errno = pthread_create(&watcher, NULL, watch, NULL);
    return errno == 0 ? STATUS_OK : STATUS_SYSTEM;
}

void patience_stop(void) {
    plain_lock(&lock);
    is_stopping = true;
    pthread_cond_signal(&changed);
    plain_unlock(&lock);
    pthread_join(watcher, NULL);
    pthread_cond_destroy(&changed);
}

struct patience *patience_new(int socket) {
    struct patience *patience = malloc(sizeof *patience);
    if (patience == NULL) return NULL;
    *patience = (struct patience){.socket = socket, .deadline_ns = INT64_MAX};
    plain_lock(&lock);
    patience->next = first;
    if (first != NULL) first->previous = patience;
    first = patience;
    plain_unlock(&lock);
    return patience;
}

void patience_set(struct patience *patience, int64_t seconds) {
    if (patience == NULL) return;
    int64_t deadline_ns = seconds == 0 ? INT64_MAX : clock_monotonic_ns() + seconds * NS_PER_SECOND;
    plain_lock(&lock);
    patience->deadline_ns = deadline_ns;
    if (seconds != 0) pthread_cond_signal(&changed);
    plain_unlock(&lock);
}

void patience_free(struct patience *patience) {
    if (patience == NULL) return;
    plain_lock(&lock);
    if (patience->next != NULL) patience->next->previous = patience->previous;
    if (patience->previous != NULL) patience->previous->next = patience->next;
    if (first == patience) first = patience->next;
    plain_unlock(&lock);
    free(patience);
}
