// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/timed.c"

static struct record record;
static struct answer answer;
static const struct request request = {.method = "GET", .record = &record};

static int setup(void **state) {
    (void)state;
    timed_init(10, 2);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    answer_done(&answer);
    answer = (struct answer){0};
    memset(places, 0, sizeof places);
    timed_init(PPROF_DEFAULT_MAX_SECONDS, PPROF_DEFAULT_TIMED_REQUESTS);
    return 0;
}

static void test_timed__over_the_limit_is_an_error_that_names_the_setting(void **state) {
    (void)state;
    int place;
    assert_true(timed_begin(&request, 10, &place, &answer));
    assert_int_equal(record.refusal, REFUSAL_NONE);
    assert_int_equal(record.seconds, 10);
    timed_end(place);
    assert_false(timed_begin(&request, 11, &place, &answer));
    assert_int_equal(answer.status, 400);
    static const char sentence[] = "seconds=11 is over the limit of 10: PPROF_MAX_SECONDS\n";
    assert_int_equal(answer.body.len, strlen(sentence));
    assert_memory_equal(answer.body.data, sentence, strlen(sentence));
    assert_int_equal(record.refusal, REFUSAL_SECONDS);
    assert_false(timed_begin(&request, INT64_MAX, &place, &answer));
    assert_int_equal(timed_running(), 0);
}

// Retry-After is when the first of them ends, not the last.
static void test_timed__without_a_place_it_is_429_and_says_when(void **state) {
    (void)state;
    int long_one, short_one, none;
    assert_true(timed_begin(&request, 9, &long_one, &answer));
    assert_true(timed_begin(&request, 3, &short_one, &answer));
    assert_int_equal(timed_running(), 2);
    assert_false(timed_begin(&request, 1, &none, &answer));
    assert_int_equal(answer.status, 429);
    assert_in_range(answer.retry_after_seconds, 1, 3);
    assert_int_equal(record.refusal, REFUSAL_BUSY);
    timed_end(short_one);
    assert_true(timed_begin(&request, 1, &none, &answer));
    timed_end(none);
    timed_end(long_one);
    assert_int_equal(timed_running(), 0);
}

static void test_timed__what_has_lasted_is_added_up(void **state) {
    (void)state;
    int64_t before = timed_total_ns();
    int place;
    assert_true(timed_begin(&request, 1, &place, &answer));
    int64_t start_ns = places[place].start_ns;
    timed_end(place);
    int64_t lasted_ns = timed_total_ns() - before;
    assert_true(lasted_ns >= 0 && lasted_ns <= clock_monotonic_ns() - start_ns);
    assert_true(timed_begin(&request, 1, &place, &answer));
    places[place].start_ns -= 5 * NS_PER_SECOND;
    timed_end(place);
    assert_true(timed_total_ns() - before >= 5 * NS_PER_SECOND);
}
