// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/patience.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pprof/http/peer.h"
#include "pprof/http/record.h"
#include "pprof/libc/plain.h"
#include "pprof/profile/reserve.h"
#include "pprof/sample/thread.h"

struct patience {
    /* immutable */
    int socket;
    struct peer peer;
    /* guarded by lock */
    enum patience_phase phase;
    int64_t since_ns;     // in this phase
    int64_t deadline_ns;  // INT64_MAX: none
    bool is_ended;        // shut down: the library will notice and free it
    struct patience *next, *previous;
};

static const int64_t phase_seconds[] = {
    [PATIENCE_REQUEST] = 5,
    [PATIENCE_IDLE] = 15,  // silence is the library's to end, and earlier
    [PATIENCE_WORK] = 0,
    [PATIENCE_ANSWER] = 300,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
/* guarded by lock */
static struct patience *first;
static bool is_stopping;
static pthread_t watcher;

// Not close: the number stays the library's, which notices and cleans up.
static void end(struct patience *one, enum refusal refusal) {
    shutdown(one->socket, SHUT_RDWR);
    one->is_ended = true;
    one->deadline_ns = INT64_MAX;
    record_refusal(refusal);
}

// Shuts down what is over; returns the nearest deadline of the rest.
static int64_t end_overdue(int64_t now_ns) {
    int64_t nearest_ns = INT64_MAX;
    for (struct patience *one = first; one != NULL; one = one->next) {
        if (one->deadline_ns <= now_ns) {
            end(one, one->phase == PATIENCE_ANSWER ? REFUSAL_STALLED : REFUSAL_SLOW);
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
    reserve_refill();
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

// Unfinished requests go before answers that are taken; of a kind, the oldest.
static bool goes_before(const struct patience *one, const struct patience *other) {
    bool is_answered = one->phase == PATIENCE_ANSWER;
    bool is_other_answered = other->phase == PATIENCE_ANSWER;
    if (is_answered != is_other_answered) return is_other_answered;
    return one->since_ns <= other->since_ns;
}

// Who has waited for the longest: for its client's request, or else for its client to take the
// answer. `peer`: of this one only; NULL: of all. NULL: nobody does.
static struct patience *find_longest_waiting(const struct peer *peer) {
    struct patience *found = NULL;
    for (struct patience *one = first; one != NULL; one = one->next) {
        if (one->is_ended || one->phase == PATIENCE_WORK) continue;
        if (peer != NULL && !peer_is(&one->peer, peer)) continue;
        if (found == NULL || goes_before(one, found)) found = one;
    }
    return found;
}

static size_t count(const struct peer *peer) {
    size_t count = 0;
    for (const struct patience *one = first; one != NULL; one = one->next) {
        count += !one->is_ended && (peer == NULL || peer_is(&one->peer, peer));
    }
    return count;
}

// Before the newcomer is listed.
static void make_room(struct patience *newcomer) {
    const struct peer *peer = NULL;
    bool is_full = count(NULL) >= PATIENCE_CONNECTIONS_MOST;
    if (!newcomer->peer.is_loopback && count(&newcomer->peer) >= PATIENCE_PER_PEER_MOST) {
        is_full = true;
        peer = &newcomer->peer;
    }
    if (!is_full) return;
    struct patience *one = find_longest_waiting(peer);
    end(one != NULL ? one : newcomer, REFUSAL_CROWD);
}

struct patience *patience_new(int socket, const struct sockaddr *address) {
    struct patience *patience = malloc(sizeof *patience);
    if (patience == NULL) return NULL;
    int64_t now_ns = clock_monotonic_ns();
    *patience = (struct patience){
        .socket = socket,
        .peer = peer_of(address),
        .phase = PATIENCE_REQUEST,
        .since_ns = now_ns,
        .deadline_ns = now_ns + phase_seconds[PATIENCE_REQUEST] * NS_PER_SECOND,
    };
    plain_lock(&lock);
    make_room(patience);
    patience->next = first;
    if (first != NULL) first->previous = patience;
    first = patience;
    pthread_cond_signal(&changed);
    plain_unlock(&lock);
    return patience;
}

void patience_set(struct patience *patience, enum patience_phase phase) {
    if (patience == NULL) return;
    int64_t now_ns = clock_monotonic_ns();
    int64_t seconds = phase_seconds[phase];
    int64_t deadline_ns = seconds == 0 ? INT64_MAX : now_ns + seconds * NS_PER_SECOND;
    plain_lock(&lock);
    bool has_begun = phase == PATIENCE_REQUEST && patience->phase == PATIENCE_REQUEST;
    if (!patience->is_ended && !has_begun) {
        patience->phase = phase;
        patience->since_ns = now_ns;
        patience->deadline_ns = deadline_ns;
        if (seconds != 0) pthread_cond_signal(&changed);
    }
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
