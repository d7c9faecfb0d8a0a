// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/contention.c"

#include "base/attributes.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int setup_all(void **state) {
    (void)state;
    return thread_enter_main() == STATUS_OK ? 0 : -1;
}

static int setup(void **state) {
    (void)state;
    store_done(&block_store.store);
    store_done(&mutex_store.store);
    contention_init(1, 1);
    return 0;
}

static int64_t sum_of(const struct source *source, int value) {
    struct store samples = {0};
    assert_int_equal(source->collect(&samples, source->context), STATUS_OK);
    int64_t sum = 0;
    for (const struct sample *s = samples.first; s != NULL; s = s->next) sum += s->values[value];
    store_done(&samples);
    return sum;
}

static void begin_wait(struct contention *wait, const void *lock) {
    contention_begin(wait, "sync.Mutex.Lock", lock, __builtin_frame_address(0), 0x1234);
}

static void end_wait(struct contention *wait) {
    contention_end(wait, __builtin_frame_address(0), 0x1234);
}

static void release(const void *lock) {
    if (contention_is_waited_for(lock)) {
        contention_release_slowly(lock, __builtin_frame_address(0), 0x5678);
    }
}

static void test_contention__a_wait_has_a_waiter_and_a_releaser(void **state) {
    (void)state;
    struct contention wait;
    begin_wait(&wait, &mutex);
    assert_true(contention_is_waited_for(&mutex));
    release(&mutex);
    end_wait(&wait);
    assert_false(contention_is_waited_for(&mutex));
    assert_int_equal(sum_of(&block_source, VALUE_CONTENTIONS), 1);
    assert_int_equal(sum_of(&mutex_source, VALUE_CONTENTIONS), 1);
    int64_t waited_ns = sum_of(&block_source, VALUE_DELAY_NS);
    int64_t charged_ns = sum_of(&mutex_source, VALUE_DELAY_NS);
    assert_true(charged_ns > 0 && charged_ns <= waited_ns);
    assert_int_equal(block_store.store.first->key.addresses[0], 0x1234);
    assert_int_equal(mutex_store.store.first->key.addresses[0], 0x5678);
}

// Would catch: a waiter whose time is charged to two holders, or who counts twice.
static void test_contention__time_and_waiters_are_charged_once(void **state) {
    (void)state;
    struct contention first, second;
    int64_t start_ns = clock_monotonic_ns();
    begin_wait(&first, &mutex);
    begin_wait(&second, &mutex);
    release(&mutex);
    release(&mutex);
    release(&mutex);
    end_wait(&first);
    release(&mutex);
    end_wait(&second);
    int64_t most_ns = 2 * (clock_monotonic_ns() - start_ns);
    assert_int_equal(sum_of(&mutex_source, VALUE_CONTENTIONS), 2);
    assert_true(sum_of(&mutex_source, VALUE_DELAY_NS) <= most_ns);
}

// Two locks whose addresses share a bucket.
static const void *other_lock_of_bucket(const void *lock) {
    for (uintptr_t address = 64;; address += 64) {
        if ((const void *)address != lock && bucket_of((const void *)address) == bucket_of(lock)) {
            return (const void *)address;
        }
    }
}

static void test_contention__another_lock_of_the_same_bucket_is_not_charged(void **state) {
    (void)state;
    struct contention wait;
    const void *other = other_lock_of_bucket(&mutex);
    begin_wait(&wait, &mutex);
    assert_true(contention_is_waited_for(other));  // looks, and finds nobody
    release(other);
    assert_int_equal(sum_of(&mutex_source, VALUE_CONTENTIONS), 0);
    release(&mutex);
    end_wait(&wait);
    assert_int_equal(sum_of(&mutex_source, VALUE_CONTENTIONS), 1);
}

static void test_contention__a_wait_inside_a_wait_counts_once(void **state) {
    (void)state;
    struct contention outer, inner;
    begin_wait(&outer, NULL);
    begin_wait(&inner, &mutex);
    end_wait(&inner);
    end_wait(&outer);
    assert_int_equal(sum_of(&block_source, VALUE_CONTENTIONS), 1);
}

static void test_contention__at_rate_0_nothing_is_recorded_but_in_a_window_all_is(void **state) {
    (void)state;
    contention_init(0, 0);
    struct contention wait;
    begin_wait(&wait, &mutex);
    release(&mutex);
    end_wait(&wait);
    assert_int_equal(sum_of(&block_source, VALUE_CONTENTIONS), 0);
    assert_int_equal(sum_of(&mutex_source, VALUE_CONTENTIONS), 0);
    block_source.watch(true);
    begin_wait(&wait, NULL);
    end_wait(&wait);
    block_source.watch(false);
    begin_wait(&wait, NULL);
    end_wait(&wait);
    assert_int_equal(sum_of(&block_source, VALUE_CONTENTIONS), 1);
}

// One in ten is recorded as ten: of 10 000 about 10 000 come out, and each is a multiple.
static void test_contention__a_fraction_of_the_mutex_s_contentions_stands_for_all(void **state) {
    (void)state;
    contention_init(1, 10);
    enum { COUNT = 10000 };
    for (int i = 0; i < COUNT; i++) {
        struct contention wait;
        begin_wait(&wait, &mutex);
        release(&mutex);
        end_wait(&wait);
    }
    int64_t count_of_all = sum_of(&mutex_source, VALUE_CONTENTIONS);
    assert_int_equal(count_of_all % 10, 0);
    assert_in_range(count_of_all, COUNT - 1500, COUNT + 1500);  // five standard errors of 300
    mutex_source.watch(true);
    struct contention wait;
    begin_wait(&wait, &mutex);
    release(&mutex);
    end_wait(&wait);
    mutex_source.watch(false);
    assert_int_equal(sum_of(&mutex_source, VALUE_CONTENTIONS), count_of_all + 1);
}

// Sums stay true: the expected value of a short wait is its own length.
static void test_contention__short_waits_are_sampled_without_bias(void **state) {
    (void)state;
    contention_init(1000000, 1);
    enum { COUNT = 20000, DELAY_NS = 50000 };
    for (int i = 0; i < COUNT; i++) record_block(DELAY_NS, NULL, 0x1234);
    // Of 20 000 waits 1 in 20 is drawn: 1000, with a standard error of 31.
    int64_t sum_ns = sum_of(&block_source, VALUE_DELAY_NS);
    assert_in_range(sum_ns, INT64_C(845000000), INT64_C(1155000000));
    int64_t events = sum_of(&block_source, VALUE_CONTENTIONS);
    assert_in_range(events, 16900, 23100);
    record_block(5000000, NULL, 0x1234);
    assert_int_equal(sum_of(&block_source, VALUE_DELAY_NS), sum_ns + 5000000);
}

static void test_contention__a_wait_of_no_time_is_no_division_by_zero(void **state) {
    (void)state;
    contention_init(1000, 1);
    for (int i = 0; i < 1000; i++) record_block(0, NULL, 0x1234);
    assert_int_equal(sum_of(&block_source, VALUE_CONTENTIONS), 0);
}

// The values are whole: a period of 7 would make pprof multiply them once more.
static void test_contention__the_text_s_head_and_values_are_go_s(void **state) {
    (void)state;
    struct buffer out = {0};
    contention_init(1, 7);
    assert_int_equal(mutex_source.write_text_head(NULL, &out), STATUS_OK);
    assert_true(
        bytes_equal(buffer_bytes(&out),
                    BYTES_LITERAL("--- mutex:\ncycles/second=1000000000\nsampling period=1\n")));
    out.len = 0;
    assert_int_equal(block_source.write_text_head(NULL, &out), STATUS_OK);
    assert_true(bytes_equal(buffer_bytes(&out),
                            BYTES_LITERAL("--- contention:\ncycles/second=1000000000\n")));
    out.len = 0;
    const struct sample sample = {.values = {2, 300}};
    assert_int_equal(block_source.write_text_values(&sample, &out), STATUS_OK);
    assert_true(bytes_equal(buffer_bytes(&out), BYTES_LITERAL("300 2")));
    buffer_done(&out);
}
