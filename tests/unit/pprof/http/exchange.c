// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/exchange.c"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

static int ends[2];  // ours, the client's
static atomic_int every_count;

// A wait that should end by itself, but does not, fails here and not by the runner's limit.
static const int64_t LONG_NS = 60 * NS_PER_SECOND;

static int setup(void **state) {
    (void)state;
    atomic_store(&every_count, 0);
    if (request_sleep_again() != STATUS_OK) return -1;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int teardown(void **state) {
    (void)state;
    close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
    return 0;
}

static void count_every(void) {
    atomic_fetch_add(&every_count, 1);
}

// Waits up to LONG_NS; says whether it ended before.
static bool ends_early(void (*every)(void)) {
    const struct request request = {.client_socket = ends[0]};
    int64_t deadline = clock_monotonic_ns() + LONG_NS;
    request_wait(&request, deadline, every);
    return clock_monotonic_ns() < deadline;
}

static void test_exchange__a_deadline_that_is_over_is_no_wait(void **state) {
    (void)state;
    const struct request request = {.client_socket = ends[0]};
    request_wait(&request, clock_monotonic_ns(), count_every);
    request_wait(&request, 0, count_every);
    request_wait(&request, INT64_MIN / 2, count_every);
    assert_int_equal(atomic_load(&every_count), 0);
}

static void test_exchange__it_waits_until_the_deadline_and_calls_meanwhile(void **state) {
    (void)state;
    const struct request request = {.client_socket = ends[0]};
    int64_t deadline = clock_monotonic_ns() + 120 * NS_PER_MS;
    request_wait(&request, deadline, count_every);
    assert_true(clock_monotonic_ns() >= deadline);
    assert_in_range(atomic_load(&every_count), 1, 3);
}

static void test_exchange__a_client_that_left_ends_it(void **state) {
    (void)state;
    close(ends[1]);
    ends[1] = -1;
    assert_true(ends_early(count_every));
}

static void test_exchange__a_client_that_closed_its_half_ends_it(void **state) {
    (void)state;
    shutdown(ends[1], SHUT_WR);
    assert_true(ends_early(count_every));
}

static void close_client_at_the_third(void) {
    count_every();
    if (atomic_load(&every_count) == 3) shutdown(ends[1], SHUT_WR);
}

static void test_exchange__a_client_that_leaves_meanwhile_ends_it(void **state) {
    (void)state;
    assert_true(ends_early(close_client_at_the_third));
    assert_int_equal(atomic_load(&every_count), 3);
}

// The next request of a pipelining client is no reason to stop.
static void test_exchange__a_client_that_sends_more_does_not(void **state) {
    (void)state;
    assert_int_equal(write(ends[1], "GET", 3), 3);
    assert_true(ends_early(close_client_at_the_third));
    assert_int_equal(atomic_load(&every_count), 3);
}

static void wake_at_the_second(void) {
    count_every();
    if (atomic_load(&every_count) == 2) request_wake_all();
}

static void test_exchange__waking_ends_present_and_future_waits_until_sleep_again(void **state) {
    (void)state;
    assert_true(ends_early(wake_at_the_second));
    assert_int_equal(atomic_load(&every_count), 2);
    assert_true(ends_early(count_every));
    assert_int_equal(atomic_load(&every_count), 2);
    assert_int_equal(request_sleep_again(), STATUS_OK);
    atomic_store(&every_count, 0);
    assert_true(ends_early(close_client_at_the_third));
    assert_int_equal(atomic_load(&every_count), 3);
}

static void *wait_long(void *unused) {
    (void)unused;
    return ends_early(count_every) ? ends : NULL;
}

static void test_exchange__waking_reaches_all_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, wait_long, NULL);
    while (atomic_load(&every_count) < 4) sched_yield();
    request_wake_all();
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
}

static void test_exchange__waking_many_times_does_not_block(void **state) {
    (void)state;
    uint64_t nearly_full = UINT64_MAX - 2;
    assert_int_equal(write(wake_event, &nearly_full, sizeof nearly_full), sizeof nearly_full);
    for (int i = 0; i < 5; i++) request_wake_all();
    assert_true(ends_early(count_every));
}

static void assert_parameter(const struct request *request, const char *expected) {
    struct buffer value = {0};
    enum status status = request_find(request, "seconds", &value);
    assert_int_equal(status, expected != NULL ? STATUS_OK : STATUS_NOT_FOUND);
    if (expected != NULL) {
        assert_true(bytes_equal(buffer_bytes(&value), bytes_of_text(expected)));
    }
    buffer_done(&value);
}

// Go's FormValue.
static void test_exchange__a_form_in_the_body_counts_before_the_query(void **state) {
    (void)state;
    struct request request = {.query = BYTES_LITERAL("seconds=1"),
                              .body = BYTES_LITERAL("a=b&seconds=2")};
    assert_parameter(&request, "1");
    request.is_form = true;
    assert_parameter(&request, "2");
    request.body = BYTES_LITERAL("other=2");
    assert_parameter(&request, "1");
    request.body = BYTES_LITERAL("seconds=");
    assert_parameter(&request, "");
    request = (struct request){.is_form = true};
    assert_parameter(&request, NULL);
}

static void test_exchange__an_error_replaces_what_was_there(void **state) {
    (void)state;
    struct answer answer = {.status = 200, .content_type = CONTENT_BINARY, .file_name = "profile"};
    assert_int_equal(buffer_append_text(&answer.body, "half a profile"), STATUS_OK);
    assert_int_equal(buffer_append_text(&answer.location, "/x"), STATUS_OK);
    answer_error(&answer, 404, "Unknown profile");
    assert_int_equal(answer.status, 404);
    assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
    assert_string_equal(answer.file_name, "");
    assert_true(answer.is_pprof_error);
    assert_int_equal(answer.location.len, 0);
    assert_true(bytes_equal(buffer_bytes(&answer.body), BYTES_LITERAL("Unknown profile\n")));
    answer_failure(&answer, STATUS_LIBRARY);
    assert_int_equal(answer.status, 500);
    assert_true(bytes_equal(buffer_bytes(&answer.body), BYTES_LITERAL("a library refused\n")));
    answer_failure(&answer, STATUS_NO_MEMORY);
    assert_int_equal(answer.status, 503);
    assert_true(bytes_start_with(buffer_bytes(&answer.body), BYTES_LITERAL("out of memory: ")));
    answer_bad_request(&answer);
    assert_int_equal(answer.status, 400);
    assert_true(answer.closes);
    assert_false(answer.is_pprof_error);
    answer_done(&answer);
    answer_done(&answer);
}
