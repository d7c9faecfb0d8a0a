// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/contention.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "pprof/libc/plain.h"
#include "pprof/sample/stack.h"
#include "pprof/sample/thread.h"

enum { BUCKETS = 1024, STORE_BYTES_MOST = 16 << 20 };
enum { VALUE_CONTENTIONS, VALUE_DELAY_NS };

// Waiters of all locks whose addresses meet here.
static struct bucket {
    atomic_uint waiter_count;
    pthread_mutex_t lock;
    /* guarded by lock */
    struct contention *waiters;
} buckets[BUCKETS] = {[0 ... BUCKETS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static struct shared_store block_store = SHARED_STORE_INIT(STORE_BYTES_MOST);
static struct shared_store mutex_store = SHARED_STORE_INIT(STORE_BYTES_MOST);

/* immutable after start-up */
static int64_t block_rate_ns, mutex_fraction;
/* atomic: windows that want everything */
static atomic_int block_watchers, mutex_watchers;

static _Thread_local uint64_t random_state;

void contention_init(int64_t rate_ns, int64_t fraction) {
    block_rate_ns = rate_ns;
    mutex_fraction = fraction;
}

int64_t contention_block_rate_ns(void) {
    return block_rate_ns;
}

int64_t contention_mutex_fraction(void) {
    return mutex_fraction;
}

uint64_t contention_refused_count(void) {
    return shared_store_refused(&block_store) + shared_store_refused(&mutex_store);
}

// xorshift64: any generator will do that does not follow the program's own rhythm.
static uint64_t next_random(void) {
    if (random_state == 0) random_state = (uint64_t)clock_monotonic_ns() ^ (uintptr_t)&random_state;
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int64_t rate_in_force(atomic_int *watchers, int64_t rate) {
    return atomic_load_explicit(watchers, memory_order_relaxed) > 0 ? 1 : rate;
}

static void add(struct shared_store *store, const void *frame, uintptr_t leaf, int64_t count,
                int64_t delay_ns) {
    uintptr_t addresses[STACK_DEPTH];
    const struct sample_key key = {.addresses = addresses,
                                   .depth = stack_capture(frame, leaf, addresses),
                                   .labels = thread_labels};
    shared_store_add(store, &key, count, delay_ns);
}

static void record_block(int64_t delay_ns, const void *frame, uintptr_t leaf) {
    int64_t rate_ns = rate_in_force(&block_watchers, block_rate_ns);
    if (rate_ns <= 0) return;
    int64_t count = 1;
    if (delay_ns < rate_ns) {
        if ((int64_t)(next_random() % (uint64_t)rate_ns) >= delay_ns) return;
        // It stands for all those of its length that were not drawn.
        count = delay_ns > 0 ? rate_ns / delay_ns : 1;
        delay_ns = rate_ns;
    }
    add(&block_store, frame, leaf, count, delay_ns);
}

static struct bucket *bucket_of(const void *lock) {
    uint64_t hash = (uintptr_t)lock * UINT64_C(0x9e3779b97f4a7c15);
    return &buckets[hash >> 54];
}

bool contention_is_waited_for(const void *lock) {
    return atomic_load_explicit(&bucket_of(lock)->waiter_count, memory_order_relaxed) != 0;
}

static void list(struct contention *wait) {
    struct bucket *bucket = bucket_of(wait->lock);
    plain_lock(&bucket->lock);
    wait->next = bucket->waiters;
    bucket->waiters = wait;
    plain_unlock(&bucket->lock);
    atomic_fetch_add_explicit(&bucket->waiter_count, 1, memory_order_relaxed);
    wait->is_listed = true;
}

static void unlist(struct contention *wait) {
    struct bucket *bucket = bucket_of(wait->lock);
    atomic_fetch_sub_explicit(&bucket->waiter_count, 1, memory_order_relaxed);
    plain_lock(&bucket->lock);
    struct contention **link = &bucket->waiters;
    while (*link != wait) link = &(*link)->next;
    *link = wait->next;
    plain_unlock(&bucket->lock);
}

void contention_begin(struct contention *wait, const char *state, const void *lock,
                      const void *frame, uintptr_t leaf) {
    int64_t now_ns = clock_monotonic_ns();
    *wait = (struct contention){.lock = lock, .start_ns = now_ns, .charged_ns = now_ns};
    if (thread_is_disabled()) return;
    if (lock != NULL && rate_in_force(&mutex_watchers, mutex_fraction) > 0) list(wait);
    wait->is_parked = thread_park(state, frame, leaf);
}

void contention_end(struct contention *wait, const void *frame, uintptr_t leaf) {
    if (thread_is_disabled()) return;
    // One that was parked already is part of a wait that is counted as a whole.
    bool is_outermost = wait->is_parked || thread_self == NULL;
    thread_unpark(wait->is_parked);
    if (wait->is_listed) unlist(wait);
    if (is_outermost) record_block(clock_monotonic_ns() - wait->start_ns, frame, leaf);
}

// What the waiters for this lock have waited since the last time somebody paid for it.
static int64_t charge(struct bucket *bucket, const void *lock, int64_t *ret_count) {
    int64_t sum_ns = 0;
    plain_lock(&bucket->lock);
    int64_t now_ns = clock_monotonic_ns();
    for (struct contention *wait = bucket->waiters; wait != NULL; wait = wait->next) {
        if (wait->lock != lock) continue;
        // Each wait is one contention, of the first holder that it meets.
        if (wait->charged_ns == wait->start_ns) *ret_count += 1;
        sum_ns += now_ns - wait->charged_ns;
        wait->charged_ns = now_ns;
    }
    plain_unlock(&bucket->lock);
    return sum_ns;
}

void contention_release_slowly(const void *lock, const void *frame, uintptr_t leaf) {
    int64_t count = 0;
    int64_t delay_ns = charge(bucket_of(lock), lock, &count);
    int64_t fraction = rate_in_force(&mutex_watchers, mutex_fraction);
    if (delay_ns == 0 || fraction <= 0) return;
    if (fraction > 1 && next_random() % (uint64_t)fraction != 0) return;
    add(&mutex_store, frame, leaf, count * fraction, delay_ns * fraction);
}

static enum status collect(struct store *out, void *context) {
    return shared_store_copy(context, out);
}

static int64_t count(void *context) {
    const struct sample *sample;
    return shared_store_list(context, &sample);
}

static int64_t period(void) {
    return 1;
}

static void watch_block(bool is_watched) {
    atomic_fetch_add(&block_watchers, is_watched ? 1 : -1);
}

static void watch_mutex(bool is_watched) {
    atomic_fetch_add(&mutex_watchers, is_watched ? 1 : -1);
}

static enum status write_values(const struct sample *sample, struct buffer *out) {
    return buffer_append_format(out, "%" PRId64 " %" PRId64, sample->values[VALUE_DELAY_NS],
                                sample->values[VALUE_CONTENTIONS]);
}

// Our clock counts nanoseconds, where Go's counts cycles.
static enum status write_block_head(const struct store *samples, struct buffer *out) {
    (void)samples;
    return buffer_append_text(out, "--- contention:\ncycles/second=1000000000\n");
}

// pprof multiplies the values of a text by this period. Ours are multiplied as they are recorded,
// with the fraction of that moment; the one that is set stands in the protobuf's comments.
static enum status write_mutex_head(const struct store *samples, struct buffer *out) {
    (void)samples;
    return buffer_append_text(out, "--- mutex:\ncycles/second=1000000000\nsampling period=1\n");
}

#define CONTENTION_FORM                                                                            \
    .sample_types = {[VALUE_CONTENTIONS] = {"contentions", "count"},                               \
                     [VALUE_DELAY_NS] = {"delay", "nanoseconds"}},                                 \
    .period_type = {"contentions", "count"}, .period = period, .collect = collect, .count = count, \
    .write_text_values = write_values, .text_order = TEXT_LONGEST_FIRST

const struct source block_source = {
    .name = "block",
    .description = "Time that threads waited for locks, conditions, semaphores, barriers and other "
                   "threads, by the stack that waited.",
    CONTENTION_FORM,
    .write_text_head = write_block_head,
    .watch = watch_block,
    .context = &block_store,
};

const struct source mutex_source = {
    .name = "mutex",
    .description = "Time that threads waited for locks, by the stack that held the lock and gave "
                   "it back.",
    CONTENTION_FORM,
    .write_text_head = write_mutex_head,
    .watch = watch_mutex,
    .context = &mutex_store,
};
