// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/snapshot.c"

#include "tests/unit/pprof/reader.h"

static struct answer answer;
static int tidied, watched, unwatched;
static int64_t events, level;
static enum status collect_status;

// Counts one event more, and a level one lower, each time it is asked.
static enum status collect(struct store *out, void *context) {
    (void)context;
    const uintptr_t addresses[] = {0x10, 0x20};
    struct sample_key first = {.addresses = &addresses[0], .depth = 1};
    struct sample_key second = {.addresses = &addresses[1], .depth = 1};
    if (collect_status != STATUS_OK) return collect_status;
    enum status status = store_add(out, &first, (const int64_t[SAMPLE_VALUES]){events++, level--});
    if (status != STATUS_OK) return status;
    return store_add(out, &second, (const int64_t[SAMPLE_VALUES]){5, 5});
}

static int64_t period(void) {
    return 77;
}

static void tidy(void) {
    tidied++;
}

static void watch(bool is_watched) {
    watched += is_watched;
    unwatched += !is_watched;
}

static enum status write_dump(struct buffer *out) {
    return buffer_append_text(out, "a dump\n");
}

static const struct source source = {.name = "made",
                                     .sample_types = {{"events", "count"}, {"level", "bytes"}},
                                     .default_sample_type = "level",
                                     .period_type = {"events", "count"},
                                     .period = period,
                                     .collect = collect,
                                     .tidy = tidy,
                                     .watch = watch,
                                     .write_dump = write_dump};

static int setup(void **state) {
    (void)state;
    tidied = watched = unwatched = 0;
    events = level = 100;
    collect_status = STATUS_OK;
    answer = (struct answer){0};
    if (request_sleep_again() != STATUS_OK) return -1;
    request_wake_all();  // no delta waits for its end
    return 0;
}

static int teardown(void **state) {
    (void)state;
    answer_done(&answer);
    return 0;
}

static void ask(const char *query) {
    answer_done(&answer);
    answer = (struct answer){0};
    const struct request request = {
        .method = "GET", .query = bytes_of_text(query), .client_socket = -1};
    endpoint_answer_source(&source, &request, &answer);
}

static void assert_error(const char *query, unsigned status, const char *sentence) {
    ask(query);
    if (answer.status != status) print_error("%s\n", query);
    assert_int_equal(answer.status, status);
    assert_true(bytes_equal(buffer_bytes(&answer.body), bytes_of_text(sentence)));
    assert_true(answer.is_pprof_error);
    assert_string_equal(answer.file_name, "");
}

static void test_snapshot__without_parameters_it_is_a_protobuf_of_now(void **state) {
    (void)state;
    static const char *const queries[] = {"",         "debug=0", "debug=",   "debug=x",
                                          "debug=1x", "seconds", "seconds=", "gc=0",
                                          "gc=x",     "other=1", "Debug=1",  "debug=%zz"};
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        ask(queries[i]);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.content_type, CONTENT_BINARY);
        assert_string_equal(answer.file_name, "made");
        struct reader_profile read = reader_read(buffer_bytes(&answer.body));
        assert_int_equal(read.sample_count, 2);
        assert_int_equal(read.duration_ns, 0);
        assert_int_equal(read.period, 77);
        assert_string_equal(read.default_type, "level");
        assert_true(read.comment_count != 0);
        reader_done(&read);
    }
    assert_int_equal(tidied, 0);
    assert_int_equal(watched, 0);
}

static void test_snapshot__debug_that_is_not_zero_is_text(void **state) {
    (void)state;
    static const char *const queries[] = {"debug=1",
                                          "debug=-1",
                                          "debug=%31",
                                          "debug=+0&debug=1",
                                          "debug=99999999999999999999",
                                          "debug=-99999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        ask(queries[i]);
        bool is_text = strcmp(queries[i], "debug=+0&debug=1") != 0;  // " 0" is no number: 0
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.content_type, is_text ? CONTENT_TEXT : CONTENT_BINARY);
        assert_string_equal(answer.file_name, is_text ? "" : "made");
    }
    ask("debug=2");
    assert_true(bytes_equal(buffer_bytes(&answer.body), BYTES_LITERAL("a dump\n")));
}

static void test_snapshot__seconds_must_be_positive_and_are_checked_first(void **state) {
    (void)state;
    static const char *const bad[] = {
        "seconds=0",           "seconds=-1",        "seconds=x",  "seconds=1.5",
        "seconds=1e0",         "seconds=0x1",       "seconds=+1", "seconds=99999999999999999999",
        "seconds=x&seconds=1", "debug=1&seconds=0",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_error(bad[i], 400, "invalid value for \"seconds\" - must be a positive integer\n");
    }
    static const char *const both[] = {"seconds=1&debug=1", "debug=-1&seconds=%2B1"};
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        assert_error(both[i], 400, "seconds and debug params are incompatible\n");
    }
}

static void test_snapshot__a_delta_is_the_difference_and_may_be_negative(void **state) {
    (void)state;
    ask("seconds=300&gc=1&debug=0");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.file_name, "made-delta");
    struct reader_profile read = reader_read(buffer_bytes(&answer.body));
    assert_int_equal(read.sample_count, 1);
    assert_int_equal(read.samples[0].values[0], 1);
    assert_int_equal(read.samples[0].values[1], -1);
    assert_true(read.duration_ns > 0 && read.duration_ns < 300 * NS_PER_SECOND);
    reader_done(&read);
    assert_int_equal(watched, 1);
    assert_int_equal(unwatched, 1);
    assert_int_equal(tidied, 0);  // gc with seconds is ignored
}

static void test_snapshot__gc_tidies_first(void **state) {
    (void)state;
    ask("gc=1");
    ask("gc=5&debug=1");
    assert_int_equal(tidied, 2);
}

// Would catch: a watch that is never ended, so that everything is sampled from then on.
static void test_snapshot__a_failure_is_told_and_ends_the_watch(void **state) {
    (void)state;
    collect_status = STATUS_SYSTEM;
    assert_error("", 500, "a system call failed\n");
    assert_error("debug=1", 500, "a system call failed\n");
    assert_error("seconds=1", 500, "a system call failed\n");
    assert_int_equal(watched, unwatched);
}

static void test_snapshot__format_is_text_of_now_or_of_a_difference(void **state) {
    (void)state;
    ask("format=folded&sample_index=events");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.content_type, CONTENT_TEXT);
    assert_string_equal(answer.file_name, "");
    assert_true(bytes_equal(buffer_bytes(&answer.body), BYTES_LITERAL("0x10 100\n0x20 5\n")));
    ask("format=folded&seconds=300");
    assert_true(bytes_equal(buffer_bytes(&answer.body), BYTES_LITERAL("0x10 -1\n")));
    ask("format=top");
    assert_true(bytes_start_with(buffer_bytes(&answer.body), BYTES_LITERAL("Type: level\n")));
}

static void test_snapshot__a_wrong_format_is_told_before_any_work(void **state) {
    (void)state;
    assert_error("format=x&gc=1&seconds=300", 400,
                 "invalid value for \"format\" - must be folded or top\n");
    assert_error("format=top&debug=1", 400, "format and debug params are incompatible\n");
    assert_int_equal(tidied, 0);
    assert_int_equal(watched, 0);
}

static void test_snapshot__stacks_that_fill_their_room_are_counted_as_cut(void **state) {
    (void)state;
    static const uintptr_t addresses[STACK_DEPTH] = {1};
    static const int64_t values[SAMPLE_VALUES] = {1};
    struct store store = {0};
    for (uint32_t depth = STACK_DEPTH - 2; depth <= STACK_DEPTH; depth++) {
        const struct sample_key key = {.addresses = addresses, .depth = depth};
        assert_int_equal(store_add(&store, &key, values), STATUS_OK);
    }
    assert_int_equal(count_cut(&store), 1);
    store_done(&store);
}
