// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/reply.c"

#include <stdio.h>
#include <stdlib.h>

static const struct process_options options = {
    .body_limit_bytes = 10000,
    .sse_line_limit_bytes = 200,
};
static struct metrics metrics;
static struct arena arena;
static struct reply reply;
static struct message_answer answer;

static void start(enum reply_kind kind) {
    metrics = (struct metrics){0};
    answer = (struct message_answer){0};
    reply_init(&reply, &options, &metrics);
    reply.kind = kind;
}

static int setup(void **state) {
    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_reset(&arena);
    return 0;
}

// A piece in memory of its own, with the promised padding and not a byte more.
static void add(const char *text, size_t length, bool is_last) {
    uint8_t *body = calloc(1, length + MESSAGE_BODY_PADDING);
    assert_non_null(body);
    memcpy(body, text, length);
    reply_add(&reply, body, length, is_last, &arena, &answer);
    free(body);
}

static uint64_t count(enum metric metric) {
    return metrics_read(&metrics, metric);
}

static void assert_metadata(size_t at, const char *key, double number) {
    assert_true(at < answer.metadata_count);
    assert_string_equal(answer.metadata[at].key, key);
    assert_true(answer.metadata[at].number == number);
}

static const char json[] =
    "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
    "\"total_tokens\":3}}";

static void assert_all_of_json(void) {
    assert_int_equal(answer.metadata_count, 4);
    assert_metadata(0, "llm_input_token", 1);
    assert_metadata(1, "llm_output_token", 2);
    assert_metadata(2, "llm_total_token", 3);
    assert_string_equal(answer.metadata[3].key, "response_model");
    assert_true(answer.metadata[3].is_text);
    assert_true(bytes_equal(answer.metadata[3].text, BYTES_LITERAL("m")));
    assert_int_equal(reply.kind, REPLY_UNREAD);
    assert_int_equal(count(METRIC_RESPONSES_USAGE), 1);
}

static void test_reply__json_is_read_however_it_is_cut(void **state) {
    (void)state;
    const size_t length = sizeof(json) - 1;
    for (size_t cut = 0; cut <= length; cut++) {
        start(REPLY_JSON);
        add(json, cut, false);
        assert_int_equal(answer.metadata_count, 0);
        if (cut % 2 == 0) add("", 0, false);
        add(json + cut, length - cut, true);
        assert_all_of_json();
        reply_done(&reply);
    }
}

static const char events[] =
    ": hello\n\ndata: {\"model\":\"m0\",\"usage\":{\"total_tokens\":1}}\r\n\r\n"
    "event: message\rdata:{\"model\":\"m\",\"usage\":null}\r\r"
    "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
    "\"total_tokens\":3}}\n\ndata: [DONE]\n\n";

// A stream cut at every pair of offsets tells the same.
static void test_reply__events_are_read_however_they_are_cut(void **state) {
    (void)state;
    const size_t length = sizeof(events) - 1;
    for (size_t cut = 0; cut <= length; cut++) {
        for (size_t other = cut; other <= length; other++) {
            start(REPLY_EVENTS);
            add(events, cut, false);
            add(events + cut, other - cut, false);
            add(events + other, length - other, other % 2 == 0);
            if (other % 2 != 0) add("", 0, true);
            assert_all_of_json();
            assert_int_equal(count(METRIC_SSE_LINES_UNREADABLE), 0);
            reply_done(&reply);
        }
    }
}

static void add_text(const char *text, bool is_last) {
    add(text, strlen(text), is_last);
}

static void test_reply__a_bad_event_is_skipped_and_counted(void **state) {
    (void)state;
    char line[300];
    memset(line, 'x', sizeof(line));
    start(REPLY_EVENTS);
    add_text("data: not JSON\n\ndata: {\"usage\":{\"total_tokens\":5}}\n\ndata: {\ndata:\n", false);
    add(line, sizeof(line), false);
    add_text("\ndata: 7\n", true);
    assert_int_equal(answer.metadata_count, 1);
    assert_metadata(0, "llm_total_token", 5);
    assert_int_equal(count(METRIC_SSE_LINES_UNREADABLE), 3);
    assert_int_equal(count(METRIC_SSE_LINES_TOO_LONG), 1);
    reply_done(&reply);
}

static void test_reply__a_body_that_is_no_json_is_counted(void **state) {
    (void)state;
    static const char *const bodies[] = {"not JSON", "", "{\"usage\":", "{}{}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        start(REPLY_JSON);
        add_text(bodies[i], true);
        assert_int_equal(answer.metadata_count, 0);
        assert_int_equal(count(METRIC_RESPONSES_UNREADABLE), 1);
        reply_done(&reply);
        assert_int_equal(count(METRIC_RESPONSES_CUT), 0);
    }
}

static void test_reply__json_without_usage_is_counted(void **state) {
    (void)state;
    static const char *const bodies[] = {"{}", "[]", "null", "{\"usage\":{\"total_tokens\":-1}}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        start(REPLY_JSON);
        add_text(bodies[i], true);
        assert_int_equal(answer.metadata_count, 0);
        assert_int_equal(count(METRIC_RESPONSES_NO_USAGE), 1);
        reply_done(&reply);
    }
}

// Would catch: memory that grows with a reply in pieces.
static void test_reply__pieces_over_the_limit_are_given_up(void **state) {
    (void)state;
    start(REPLY_JSON);
    for (int i = 0; i < 3000; i++) add_text("[1,2,3,4,", false);
    assert_true(reply.pieces.capacity <= 2 * options.body_limit_bytes);
    add_text("]", true);
    assert_int_equal(answer.metadata_count, 0);
    assert_int_equal(count(METRIC_RESPONSES_UNREADABLE), 1);
    reply_done(&reply);
}

static void test_reply__nothing_is_read_after_the_end(void **state) {
    (void)state;
    start(REPLY_JSON);
    add_text(json, true);
    answer.metadata_count = 0;
    add_text(json, true);
    assert_int_equal(answer.metadata_count, 0);
    assert_int_equal(count(METRIC_TOKENS_TOTAL), 3);
    reply_done(&reply);
}

static void test_reply__without_memory_it_is_unreadable(void **state) {
    (void)state;
    start(REPLY_JSON);
    arena_init(&arena, NULL, 0, 16);
    add_text(json, true);
    assert_int_equal(answer.metadata_count, 0);
    assert_int_equal(count(METRIC_RESPONSES_UNREADABLE), 1);
    reply_done(&reply);
}
