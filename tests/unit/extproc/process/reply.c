// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/reply.c"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/extproc/process/compress.h"

static const struct process_options options = {.body_limit_bytes = 100000};
static struct metrics metrics;
static struct reply reply;
static struct message_answer answer;

static void start(enum reply_kind kind) {
    metrics = (struct metrics){0};
    answer = (struct message_answer){0};
    reply_init(&reply, &options, &metrics);
    reply.kind = kind;
    usage_begin(&reply.reader);
}

// A piece in memory of its own.
static void add(const char *text, size_t length, bool is_last) {
    uint8_t *body = malloc(length + (length == 0));
    assert_non_null(body);
    memcpy(body, text, length);
    reply_add(&reply, bytes_of(body, length), 2000000);
    if (is_last) reply_end(&reply, 4000000, &answer);
    free(body);
}

static uint64_t count(enum metric metric) {
    return metrics_read(&metrics, metric);
}

static void assert_metadata(size_t at, const char *key, double number) {
    assert_true(at < answer.metadata_count);
    assert_true(bytes_equal(answer.metadata[at].key, bytes_of_text(key)));
    assert_true(answer.metadata[at].number == number);
}

static const char json[] =
    "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
    "\"total_tokens\":3}}";

static void assert_all_of_json(void) {
    assert_metadata(0, "llm_input_token", 1);
    assert_metadata(1, "llm_output_token", 2);
    assert_metadata(2, "llm_total_token", 3);
    const struct message_metadata *last = &answer.metadata[answer.metadata_count - 1];
    assert_true(bytes_equal(last->key, BYTES_LITERAL("response_model")));
    assert_true(last->is_text);
    assert_true(bytes_equal(last->text, BYTES_LITERAL("m")));
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
        assert_int_equal(answer.metadata_count, 4);
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
            assert_metadata(3, "token_latency_ttft", 2);
            assert_metadata(4, "token_latency_itl", 2);
            assert_int_equal(answer.metadata_count, 6);
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
    assert_metadata(0, "llm_total_token", 5);
    assert_int_equal(count(METRIC_SSE_LINES_UNREADABLE), 3);
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

// Would catch: counts of an earlier usage among those of a later one.
static void test_reply__a_later_usage_replaces_all_of_an_earlier_one(void **state) {
    (void)state;
    start(REPLY_EVENTS);
    add_text("data: {\"usage\":{\"prompt_tokens\":5,\"total_tokens\":6}}\n"
             "data: {\"usage\":{\"completion_tokens\":9}}\n",
             true);
    assert_metadata(0, "llm_output_token", 9);
    assert_metadata(1, "token_latency_ttft", 2);
    assert_metadata(2, "token_latency_itl", 0.25);
    assert_int_equal(answer.metadata_count, 3);
    reply_done(&reply);
}

/* alike */

// What a stream said.
struct said {
    struct usage usage;
    int64_t first_ns;
    uint64_t counts[METRIC_COUNT];
};

// In pieces of that size. A piece for each byte has no event in it that could be compared: all are
// read.
static struct said read_stream(struct bytes text, size_t step) {
    start(REPLY_EVENTS);
    for (size_t at = 0; at < text.len; at += step) {
        size_t rest = text.len - at;
        add((const char *)text.data + at, rest < step ? rest : step, false);
    }
    add("", 0, true);
    struct said said = {.usage = reply.usage, .first_ns = reply.first_ns};
    for (int i = 0; i < METRIC_COUNT; i++) said.counts[i] = count((enum metric)i);
    reply_done(&reply);
    return said;
}

static void assert_same_in_one_piece(struct bytes text) {
    struct said whole = read_stream(text, text.len), read = read_stream(text, 1);
    if (memcmp(&whole, &read, sizeof(whole)) == 0) return;
    fail_msg("compared, it says something else than read:\n%.*s", (int)text.len, text.data);
}

static const char edited_event[] =
    "data: {\"n\":-10,\"model\":\"m\",\"a\":[{\"text\":\"x\\n\xc3\xa4\"},true],\"usage\":null}\n\n";

// Every edit of one byte, in an event between two that are as they were.
static void test_reply__an_edit_anywhere_is_seen(void **state) {
    (void)state;
    static const char bytes[] = "\"\\{}[]:,019-.etnu x\t\n\r\xc3\xa4\xff";
    const size_t length = sizeof(edited_event) - 1;
    char text[3 * sizeof(edited_event)];
    for (size_t at = 0; at <= length; at++) {
        for (size_t i = 0; i < 3 * sizeof(bytes); i++) {
            // A byte is put in, or in another's place, or that is taken away.
            bool puts = i % 3 != 2, takes = i % 3 != 0 && at != length;
            if (!puts && i > 2) continue;
            char *end = text;
            end = mempcpy(end, edited_event, length);
            end = mempcpy(end, edited_event, at);
            if (puts) *end++ = bytes[i / 3];
            end = mempcpy(end, edited_event + at + takes, length - at - takes);
            end = mempcpy(end, edited_event, length);
            assert_same_in_one_piece(bytes_of(text, (size_t)(end - text)));
        }
    }
}

#define ALIKE(model, rest) "data: {\"model\":\"" model "\",\"usage\":" rest "}\n"

// Would catch: an event that is taken to say what the one before the one before it said.
static void test_reply__alike_is_what_follows_its_like(void **state) {
    (void)state;
    static const struct {
        const char *stream, *model;
        uint64_t total;
    } cases[] = {
        {ALIKE("a", "1") ALIKE("b", "1") ALIKE("a", "2"), "a", 0},
        {ALIKE("a", "1") "data: {\"model\":\"b\"}\n" ALIKE("a", "2"), "a", 0},
        {ALIKE("a", "1") "data: {\"model\":\"b\"\n" ALIKE("a", "2"), "a", 0},
        {ALIKE("a", "1") "data: {\"model\":\"b\",\"a\":1e5}\n" ALIKE("a", "2"), "a", 0},
        {ALIKE("a", "1") "data: {\"mod\\u0065l\":\"b\"}\n" ALIKE("a", "2"), "a", 0},
        {ALIKE("", "1") ALIKE("a", "1") ALIKE("", "2"), "a", 0},
        {ALIKE("a", "1") "data: {\"n\":1\ndata: {\"n\":2\n", "a", 0},
        {"data: {\"modem\":\"a\"}\ndata: {\"model\":\"a\"}\n", "a", 0},
        {ALIKE("a", "{\"total_tokens\":1}") ALIKE("a", "{\"total_tokens\":2}"), "a", 2},
        {ALIKE("a", "{\"total_tokens\":1.5}") ALIKE("a", "{\"total_tokens\":2}"), "a", 2},
        {ALIKE("a", "null") ALIKE("a", "{\"total_tokens\":2}") ALIKE("a", "null"), "a", 2},
        {ALIKE("a", "null") "data: {\"model\":\"a\",\"\\u0075sage\":{\"total_tokens\":1}}\n"
                            "data: {\"model\":\"a\",\"\\u0075sage\":{\"total_tokens\":2}}\n",
         "a", 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bytes stream = bytes_of_text(cases[i].stream);
        struct said said = read_stream(stream, stream.len);
        assert_true(bytes_equal(bytes_of(said.usage.model, said.usage.model_bytes),
                                bytes_of_text(cases[i].model)));
        assert_int_equal(said.usage.counts[USAGE_TOTAL].tokens, cases[i].total);
        assert_same_in_one_piece(stream);
    }
}

// An event that is cut sets another model while the one that is kept stays as it was.
static void test_reply__what_came_in_parts_is_not_passed_over(void **state) {
    (void)state;
    start(REPLY_EVENTS);
    add_text(ALIKE("a", "1"), false);
    add_text("data: {\"model\":\"b\"", false);
    add_text(",\"usage\":1}\n" ALIKE("a", "1"), true);
    assert_true(
        bytes_equal(bytes_of(reply.usage.model, reply.usage.model_bytes), BYTES_LITERAL("a")));
    reply_done(&reply);
}

// Would catch: a stream that is read event for event after all.
static void test_reply__alike_events_are_not_read(void **state) {
    (void)state;
    start(REPLY_EVENTS);
    add_text(ALIKE("a", "1"), false);
    size_t credit = reply.alike.credit;
    add_text(ALIKE("a", "2") "\r\n: comment\n" ALIKE("a", "3"), false);
    add_text(ALIKE("a", "\"4\"") ALIKE("a", "null"), true);
    assert_int_equal(reply.alike.credit, credit + 4);
    reply_done(&reply);
}

/* latency */

static void add_at(int64_t now_ns, const char *text) {
    reply_add(&reply, bytes_of_text(text), now_ns);
}

// Would catch: a comment or the end taken for a token, or seconds for milliseconds.
static void test_reply__latency_is_from_the_request_to_the_first_event(void **state) {
    (void)state;
    start(REPLY_EVENTS);
    reply.asked_ns = 5000000;
    add_at(6000000, ": nothing yet\n\ndata: {\"a\"");
    add_at(7500000, ":1}\n\n");
    add_at(9000000, "data: {\"usage\":{\"completion_tokens\":5}}\n\ndata: [DONE]\n\n");
    reply_end(&reply, 15500000, &answer);
    assert_int_equal(answer.metadata_count, 3);
    assert_metadata(1, "token_latency_ttft", 2.5);
    assert_metadata(2, "token_latency_itl", 2);
    reply_done(&reply);
}

static void test_reply__one_token_has_no_latency_between(void **state) {
    (void)state;
    static const char *const streams[] = {
        "data: {\"usage\":{\"completion_tokens\":1}}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":9}}\n\n",
    };
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        start(REPLY_EVENTS);
        add_at(1000000, streams[i]);
        reply_end(&reply, 2000000, &answer);
        assert_int_equal(answer.metadata_count, 2);
        assert_metadata(1, "token_latency_ttft", 1);
        reply_done(&reply);
    }
    start(REPLY_EVENTS);
    add_at(1000000, "data: [DONE]\n\n");
    reply_end(&reply, 2000000, &answer);
    assert_int_equal(answer.metadata_count, 0);
    reply_done(&reply);
}

/* compressed */

static void start_compressed(const char *type, const char *encoding) {
    struct message_header headers[] = {
        {BYTES_LITERAL(":status"), BYTES_LITERAL("200")},
        {BYTES_LITERAL("content-type"), bytes_of_text(type)},
        {BYTES_LITERAL("content-encoding"), bytes_of_text(encoding)},
    };
    start(REPLY_UNREAD);
    reply_start(&reply, &(struct message){.headers = headers, .header_count = 3});
}

static void test_reply__compressed_replies_are_read_however_they_are_cut(void **state) {
    (void)state;
    uint8_t bytes[1000];
    static const struct {
        const char *encoding;
        int window_bits;
    } encodings[] = {{"gzip", 31}, {"X-Gzip", 31}, {"deflate", 15}, {"deflate", -15}};
    for (size_t i = 0; i < COUNT_OF(encodings) * 2; i++) {
        bool is_json = i % 2 == 0;
        const char *text = is_json ? json : events;
        size_t length = compress_text(encodings[i / 2].window_bits, text, strlen(text), bytes,
                                      sizeof(bytes));
        for (size_t cut = 0; cut <= length; cut++) {
            start_compressed(is_json ? "application/json" : "text/event-stream",
                             encodings[i / 2].encoding);
            assert_int_equal(reply.kind, is_json ? REPLY_JSON : REPLY_EVENTS);
            add((char *)bytes, cut, false);
            add((char *)bytes + cut, length - cut, true);
            assert_all_of_json();
            reply_done(&reply);
        }
    }
}

static void test_reply__other_encodings_are_not_read(void **state) {
    (void)state;
    static const char *const encodings[] = {"br", "zstd", "gzip, gzip", "gzipped", "compress"};
    for (size_t i = 0; i < COUNT_OF(encodings); i++) {
        start_compressed("application/json", encodings[i]);
        assert_int_equal(reply.kind, REPLY_UNREAD);
        assert_int_equal(count(METRIC_RESPONSES_PASSED), 1);
        reply_done(&reply);
    }
}

static void test_reply__what_is_not_compressed_as_said_is_given_up(void **state) {
    (void)state;
    start_compressed("application/json", "gzip");
    add(json, sizeof(json) - 1, true);
    assert_int_equal(answer.metadata_count, 0);
    assert_int_equal(count(METRIC_RESPONSES_UNREADABLE), 1);
    reply_done(&reply);
}

// Would catch: memory or time that grows with what a small body claims to be.
static void test_reply__a_bomb_is_given_up_at_the_limit(void **state) {
    (void)state;
    enum { BOMB_BYTES = 10 << 20 };
    char *text = malloc(BOMB_BYTES);
    uint8_t *bytes = malloc(BOMB_BYTES);
    assert_true(text != NULL && bytes != NULL);
    memset(text, ' ', BOMB_BYTES);
    memcpy(text, json, sizeof(json) - 1);  // it says all before
    size_t length = compress_text(31, text, BOMB_BYTES, bytes, BOMB_BYTES);
    assert_true(length < 20000);
    start_compressed("application/json", "gzip");
    add((char *)bytes, length / 2, false);
    add((char *)bytes + length / 2, length - length / 2, true);
    assert_int_equal(count(METRIC_RESPONSES_UNREADABLE), 1);
    assert_int_equal(answer.metadata_count, 0);
    assert_int_equal(reply.kind, REPLY_UNREAD);
    reply_done(&reply);
    free(text);
    free(bytes);
}
