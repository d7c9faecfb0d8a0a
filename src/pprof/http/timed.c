// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/timed.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "pprof/http/record.h"
#include "pprof/libc/plain.h"
#include "pprof/pprof.h"

struct place {
    int64_t start_ns;  // 0: free
    int64_t end_ns;    // as asked for
};

/* immutable after timed_init */
static int64_t seconds_most = PPROF_DEFAULT_MAX_SECONDS;
static uint32_t place_count = PPROF_DEFAULT_TIMED_REQUESTS;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static struct place places[PPROF_TIMED_REQUESTS_MOST];
static int64_t total_ns;

void timed_init(int64_t new_seconds_most, uint32_t new_place_count) {
    seconds_most = new_seconds_most;
    place_count = new_place_count < PPROF_TIMED_REQUESTS_MOST ? new_place_count
                                                              : PPROF_TIMED_REQUESTS_MOST;
}

int64_t timed_seconds_most(void) {
    return seconds_most;
}

// A free place, or -1 and when the first will be.
static int take(int64_t seconds, int64_t now_ns, int64_t *ret_free_ns) {
    int64_t free_ns = INT64_MAX;
    int taken = -1;
    plain_lock(&lock);
    for (uint32_t i = 0; i < place_count && taken < 0; i++) {
        if (places[i].start_ns == 0) {
            places[i] = (struct place){now_ns, now_ns + seconds * NS_PER_SECOND};
            taken = (int)i;
        } else if (places[i].end_ns < free_ns) {
            free_ns = places[i].end_ns;
        }
    }
    plain_unlock(&lock);
    *ret_free_ns = free_ns;
    return taken;
}

static void note(const struct request *request, int64_t seconds, enum refusal refusal) {
    if (request->record == NULL) return;
    request->record->seconds = seconds;
    request->record->refusal = refusal;
}

bool timed_begin(const struct request *request, int64_t seconds, int *ret_place,
                 struct answer *answer) {
    char sentence[128];
    note(request, seconds, REFUSAL_NONE);
    if (seconds > seconds_most) {
        note(request, seconds, REFUSAL_SECONDS);
        snprintf(sentence, sizeof sentence,
                 "seconds=%" PRId64 " is over the limit of %" PRId64 ": PPROF_MAX_SECONDS", seconds,
                 seconds_most);
        answer_error(answer, 400, sentence);
        return false;
    }
    int64_t now_ns = clock_monotonic_ns();
    int64_t free_ns;
    int place = take(seconds, now_ns, &free_ns);
    if (place < 0) {
        note(request, seconds, REFUSAL_BUSY);
        snprintf(sentence, sizeof sentence,
                 "%" PRIu32 " timed profiles are running, which is the limit: PPROF_TIMED_REQUESTS",
                 place_count);
        answer_error(answer, 429, sentence);
        int64_t wait_ns = free_ns > now_ns ? free_ns - now_ns : 0;
        answer->retry_after_seconds = wait_ns / NS_PER_SECOND + 1;
        return false;
    }
    *ret_place = place;
    return true;
}

void timed_end(int place) {
    int64_t now_ns = clock_monotonic_ns();
    plain_lock(&lock);
    total_ns += now_ns - places[place].start_ns;
    places[place] = (struct place){0};
    plain_unlock(&lock);
}

size_t timed_running(void) {
    size_t running = 0;
    plain_lock(&lock);
    for (size_t i = 0; i < PPROF_TIMED_REQUESTS_MOST; i++) running += places[i].start_ns != 0;
    plain_unlock(&lock);
    return running;
}

int64_t timed_total_ns(void) {
    plain_lock(&lock);
    int64_t total = total_ns;
    plain_unlock(&lock);
    return total;
}
