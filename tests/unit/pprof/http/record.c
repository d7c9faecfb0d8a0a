// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/record.c"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN "0123456789abcdef"

static struct buffer text;

static int teardown(void **state) {
    (void)state;
    buffer_done(&text);
    return 0;
}

static void assert_masked(const char *given, const char *expected) {
    text.len = 0;
    assert_int_equal(record_write_masked(bytes_of_text(given), 64, &text), STATUS_OK);
    assert_int_equal(buffer_append_byte(&text, '\0'), STATUS_OK);
    assert_string_equal((const char *)text.data, expected);
}

// Would catch: a token in the log, because somebody sent it in the wrong place.
static void test_record__what_may_be_a_token_is_not_shown(void **state) {
    (void)state;
    assert_masked("seconds=30&debug=1", "seconds=30&debug=1");
    assert_masked("/debug/pprof/threadcreate", "/debug/pprof/threadcreate");
    assert_masked("token=" TOKEN "&seconds=1", "token=*&seconds=1");
    assert_masked(TOKEN, "*");
    assert_masked("%30"
                  "123456789abcdef",
                  "*");
    assert_masked("/debug/pprof/" TOKEN "/x", "/debug/pprof/*/x");
    assert_masked("x:" TOKEN "@host", "x:*@host");
    assert_masked("123456789abcdef", "123456789abcdef");  // shorter than any token
    assert_masked("", "");
}

static void test_record__a_long_text_is_cut(void **state) {
    (void)state;
    char given[5000];
    for (size_t i = 0; i < sizeof given; i++) given[i] = "a&"[i % 2];
    assert_int_equal(record_write_masked(bytes_of(given, sizeof given), 64, &text), STATUS_OK);
    assert_in_range(text.len, 64, 64 + TOKEN_BYTES_LEAST);
}

// What is written to standard error meanwhile; the caller frees it.
static char *capture(const struct record *record, const char *path, const char *query) {
    char name[] = "/tmp/record-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    int before = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    record_end(record, "GET", bytes_of_text(path), bytes_of_text(query),
               record->start_ns + 1234567);
    dup2(before, STDERR_FILENO);
    close(before);
    char *line = calloc(1, 8192);
    assert_true(pread(fd, line, 8191, 0) >= 0);
    close(fd);
    return line;
}

static void test_record__a_request_is_one_line_of_json(void **state) {
    (void)state;
    const struct record record = {
        .peer = "10.0.0.1:7",
        .has_secret = true,
        .token = "ci",
        .profile = "heap",
        .seconds = 5,
        .status = 200,
        .sent_bytes = 99,
    };
    char *line = capture(&record, "/debug/pprof/heap", "seconds=5&x=\"\n\x01\x80");
    static const char expected[] =
        "\"level\":\"info\",\"msg\":\"pprof request\",\"peer\":\"10.0.0.1:7\",\"auth\":\"token\","
        "\"token\":\"ci\",\"method\":\"GET\",\"path\":\"/debug/pprof/heap\","
        "\"query\":\"seconds=5&x=\\\"\\u000a\\u0001\\u0080\",\"profile\":\"heap\",\"status\":200,"
        "\"refused\":\"\",\"seconds\":5,\"bytes\":99,\"duration_us\":1234}\n";
    assert_memory_equal(line, "{\"time\":\"", 9);
    const char *rest = strchr(line, ',');
    assert_non_null(rest);
    assert_string_equal(rest + 1, expected);
    free(line);
}

static void test_record__the_index_has_no_line_unless_it_is_refused(void **state) {
    (void)state;
    struct record record = {.profile = "index", .is_quiet = true, .status = 200};
    char *line = capture(&record, "/debug/pprof/", "");
    assert_string_equal(line, "");
    free(line);
    record.refusal = REFUSAL_NO_TOKEN;
    record.status = 401;
    line = capture(&record, "/debug/pprof/", "");
    assert_non_null(strstr(line, "\"refused\":\"no_token\""));
    assert_non_null(strstr(line, "\"auth\":\"none\""));
    free(line);
}

static uint64_t seen;

static void see_request(const char *profile, unsigned status, uint64_t count, void *context) {
    const struct record *wanted = context;
    if (strcmp(profile, wanted->profile) == 0 && status == wanted->status) seen += count;
}

static uint64_t count_of(const char *profile, unsigned status) {
    struct record wanted = {.profile = profile, .status = status};
    seen = 0;
    record_visit_requests(see_request, &wanted);
    return seen;
}

static void finish(const char *profile, unsigned status, enum refusal refusal) {
    const struct record record = {.profile = profile, .status = status, .refusal = refusal};
    if (status != 0) record_answer(&record);
    free(capture(&record, "/", ""));
}

static void test_record__requests_are_counted_by_profile_and_status(void **state) {
    (void)state;
    uint64_t before = record_request_count();
    finish("mutex", 200, REFUSAL_NONE);
    finish("mutex", 200, REFUSAL_NONE);
    finish("mutex", 400, REFUSAL_SECONDS);
    finish(NULL, 404, REFUSAL_NONE);
    finish("block", 599, REFUSAL_NONE);  // a status of the last column
    finish("block", 0, REFUSAL_NONE);    // the client left before
    assert_int_equal(count_of("mutex", 200), 2);
    assert_int_equal(count_of("mutex", 400), 1);
    assert_int_equal(count_of("other", 404), 1);
    assert_int_equal(count_of("block", 0), 2);
    assert_int_equal(record_request_count(), before + 6);
}

static void see_refusal(const char *reason, uint64_t count, void *context) {
    if (strcmp(reason, context) == 0) seen = count;
}

static void test_record__refusals_are_counted_by_reason(void **state) {
    (void)state;
    uint64_t of_requests, of_connections;
    record_visit_refusals(see_refusal, (void *)"host");
    of_requests = seen;
    record_visit_refusals(see_refusal, (void *)"crowd");
    of_connections = seen;
    finish("heap", 403, REFUSAL_HOST);
    record_refusal(REFUSAL_CROWD);
    record_visit_refusals(see_refusal, (void *)"host");
    assert_int_equal(seen, of_requests + 1);
    record_visit_refusals(see_refusal, (void *)"crowd");
    assert_int_equal(seen, of_connections + 1);
}

// Would catch: a table that overflows when a program has more profiles than rows.
static void test_record__more_profiles_than_rows_are_counted_as_other(void **state) {
    (void)state;
    static char names[PROFILES_MOST + 4][16];
    uint64_t before = record_request_count();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(names[i], sizeof names[i], "more-%zu", i);
        finish(names[i], 200, REFUSAL_NONE);
    }
    assert_int_equal(record_request_count(), before + COUNT_OF(names));
    assert_true(count_of("other", 200) > 3);
}
