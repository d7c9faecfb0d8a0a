// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/profile.c"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pprof/sample/thread.h"
#include "tests/unit/pprof/reader.h"

static int ends[2];

static int setup_all(void **state) {
    (void)state;
    if (thread_enter_main() != STATUS_OK || cpu_init(1) != STATUS_OK) return -1;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int setup(void **state) {
    (void)state;
    return request_sleep_again() == STATUS_OK ? 0 : -1;
}

static int64_t seconds_of(const char *query) {
    struct request request = {.method = "GET", .query = bytes_of_text(query)};
    return read_seconds(&request);
}

static void test_profile__seconds_that_are_no_positive_number_are_30(void **state) {
    (void)state;
    static const char *const odd[] = {
        "",
        "seconds",
        "seconds=",
        "seconds=0",
        "seconds=-1",
        "seconds=1.5",
        "seconds=x",
        "seconds=1e1",
        "seconds=0x5",
        "seconds=5s",
        "seconds=+",
        "seconds= 5",
        "Seconds=5",
        "seconds=5;",
        "seconds=%zz",
        "seconds=+5",
        "debug=1",
        "seconds=99999999999999999999",
        "seconds=&seconds=5",
        "seconds=9223372036854775808",
        "seconds=-9223372036854775809",
    };
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        if (seconds_of(odd[i]) != 30) print_error("%s\n", odd[i]);
        assert_int_equal(seconds_of(odd[i]), 30);
    }
    assert_int_equal(seconds_of("seconds=5"), 5);
    assert_int_equal(seconds_of("seconds=%2B5"), 5);
    assert_int_equal(seconds_of("seconds=007"), 7);
    assert_int_equal(seconds_of("a=b&seconds=5&seconds=6"), 5);
}

static struct answer answer;

// Would catch: a profile that is as long as the limit forbids, because nobody said how long.
static void test_profile__without_seconds_it_is_no_longer_than_the_limit(void **state) {
    (void)state;
    timed_init(7, 1);
    assert_int_equal(seconds_of(""), 7);
    timed_init(PPROF_DEFAULT_MAX_SECONDS, PPROF_DEFAULT_TIMED_REQUESTS);
}

// A window that ends at once, as everybody is awake.
static void ask(const char *query) {
    answer = (struct answer){0};
    struct request request = {
        .method = "GET", .query = bytes_of_text(query), .client_socket = ends[0]};
    endpoint_answer_profile(&request, &answer);
}

static void test_profile__the_answer_is_a_cpu_profile_to_be_saved(void **state) {
    (void)state;
    request_wake_all();
    int64_t before_ns = clock_wall_ns();
    ask("seconds=60&debug=1");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.content_type, "application/octet-stream");
    assert_string_equal(answer.file_name, "profile");
    struct reader_profile read = reader_read(buffer_bytes(&answer.body));
    assert_int_equal(read.type_count, 2);
    assert_string_equal(read.types[0].type, "samples");
    assert_string_equal(read.types[0].unit, "count");
    assert_string_equal(read.types[1].type, "cpu");
    assert_string_equal(read.types[1].unit, "nanoseconds");
    assert_string_equal(read.period_type.type, "cpu");
    assert_int_equal(read.period, 10000000);
    assert_null(read.default_type);
    assert_true(read.time_ns >= before_ns && read.time_ns <= clock_wall_ns());
    assert_true(read.duration_ns > 0 && read.duration_ns < 60 * NS_PER_SECOND);
    reader_done(&read);
    answer_done(&answer);
}

static void test_profile__one_window_too_many_is_go_s_error_at_once(void **state) {
    (void)state;
    struct cpu_window window;
    assert_int_equal(cpu_window_open(&window), STATUS_OK);
    ask("seconds=60");
    cpu_window_close(&window);
    store_done(&window.store);
    assert_int_equal(answer.status, 500);
    assert_true(answer.is_pprof_error);
    assert_string_equal(answer.file_name, "");
    assert_true(bytes_equal(
        buffer_bytes(&answer.body),
        BYTES_LITERAL("Could not enable CPU profiling: cpu profiling already in use\n")));
    answer_done(&answer);
}

// Would catch: a window that stays open after its client left.
static void test_profile__its_window_is_free_again_after_the_answer(void **state) {
    (void)state;
    request_wake_all();
    for (int i = 0; i < 5; i++) {
        ask("");
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
    }
}
