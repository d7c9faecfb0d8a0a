// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/method.c"

#include "extproc/observer.h"

static atomic_bool is_draining;
static struct metrics metrics;
static const struct process_options process = {.body_limit_bytes = 1000,
                                               .sse_line_limit_bytes = 1000};
static const struct grpc_server server = {
    .process = &process, .metrics = &metrics, .is_draining = &is_draining};

static struct grpc_verdict check(struct bytes request, struct buffer *answer) {
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/grpc.health.v1.Health/Check"));
    assert_non_null(method);
    assert_true(method->is_unary);
    void *call = method->open(&server);
    struct grpc_verdict verdict = method->receive(call, request, answer);
    method->close(call);
    assert_true(verdict.ends_call);
    return verdict;
}

static void assert_health(struct bytes request, const char *expected) {
    struct buffer answer = {0};
    struct grpc_verdict verdict = check(request, &answer);
    assert_true(verdict.has_answer);
    assert_int_equal(verdict.status, GRPC_OK);
    assert_int_equal(answer.len, 2);
    assert_memory_equal(answer.data, expected, 2);
    buffer_done(&answer);
}

static void test_method__health_serves_until_it_drains(void **state) {
    (void)state;
    const struct bytes own = BYTES_LITERAL("\x0a\x2b"
                                           "envoy.service.ext_proc.v3.ExternalProcessor");
    is_draining = false;
    assert_health(BYTES_EMPTY, "\x08\x01");
    assert_health(own, "\x08\x01");
    is_draining = true;
    assert_health(BYTES_EMPTY, "\x08\x02");
    assert_health(own, "\x08\x02");
    is_draining = false;
}

static void test_method__health_knows_no_other_service(void **state) {
    (void)state;
    char long_name[2 + 300] = "\x0a";  // a string of 300 bytes that begins with nothing known
    memset(long_name + 3, 'x', sizeof(long_name) - 3);
    memcpy(long_name + 1, "\xab\x02", 2);
    struct buffer answer = {0};
    assert_int_equal(check(BYTES_LITERAL("\x0a\x01x"), &answer).status, GRPC_NOT_FOUND);
    assert_int_equal(check(bytes_of(long_name, sizeof(long_name)), &answer).status, GRPC_NOT_FOUND);
    assert_int_equal(answer.len, 0);
}

static void test_method__health_refuses_what_it_can_not_read(void **state) {
    (void)state;
    struct buffer answer = {0};
    assert_int_equal(check(BYTES_LITERAL("\x0a\x09x"), &answer).status, GRPC_INVALID_ARGUMENT);
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/grpc.health.v1.Health/Check"));
    assert_int_equal(method->refuse((void *)&server, &answer).status, GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(answer.len, 0);
}

static void test_method__process_hands_messages_to_the_processor(void **state) {
    (void)state;
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/envoy.service.ext_proc.v3.ExternalProcessor/Process"));
    assert_non_null(method);
    assert_false(method->is_unary);
    assert_int_equal(method->message_most_bytes(&server), 1000 + (1 << 20));
    void *stream = method->open(&server);
    struct buffer answer = {0};
    struct grpc_verdict verdict = method->receive(stream, BYTES_LITERAL("\xff"), &answer);
    assert_false(verdict.has_answer);
    assert_true(verdict.ends_call);
    assert_int_equal(verdict.status, GRPC_INVALID_ARGUMENT);
    method->close(stream);
    buffer_done(&answer);
}

struct seen {
    size_t count;
    const char *state;
    unsigned label;
};

static void see(const struct stream_entry *entry, void *context) {
    struct seen *seen = context;
    seen->count++;
    seen->state = entry->state;
    seen->label = entry->label;
}

// 6 before the model is known, 7 with it.
static uint32_t label_six_or_seven(uint32_t before, const char *key, struct bytes value) {
    if (strcmp(key, "operation") == 0) {
        assert_int_equal(before, 0);
        assert_true(bytes_equal(value, BYTES_LITERAL("chat")));
        return 6;
    }
    assert_string_equal(key, "model");
    assert_int_equal(before, 6);
    assert_true(bytes_equal(value, BYTES_LITERAL("m")));
    return 7;
}

static uint32_t enter_nothing(uint32_t label) {
    return label;
}

static void leave_nothing(uint32_t before) {
    (void)before;
}

static const struct observer observer = {label_six_or_seven, enter_nothing, leave_nothing};

// request_headers of a chat completion whose body will be buffered, and its body.
#define CHAT_HEADERS                                                                               \
    "\x12\x32\x0a\x30\x0a\x0f\x0a\x07:method\x1a\x04POST"                                          \
    "\x0a\x1d\x0a\x05:path\x1a\x14/v1/chat/completions\x5a\x04\x08\x02\x10\x02"
#define CHAT_BODY "\x22\x11\x0a\x0d{\"model\":\"m\"}\x10\x01"

static void test_method__lists_streams_while_they_are_open(void **state) {
    (void)state;
    struct stream_list streams = STREAM_LIST_INIT;
    const struct process_options watched = {
        .body_limit_bytes = 1000, .sse_line_limit_bytes = 1000, .observer = &observer};
    const struct grpc_server listing = {
        .process = &watched, .metrics = &metrics, .is_draining = &is_draining, .streams = &streams};
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/envoy.service.ext_proc.v3.ExternalProcessor/Process"));
    struct seen begun = {0}, labelled = {0}, closed = {0};
    struct buffer answer = {0};
    void *stream = method->open(&listing);
    stream_list_visit(&streams, see, &begun);
    assert_int_equal(begun.count, 1);
    assert_int_equal(begun.label, 0);
    assert_true(method->receive(stream, BYTES_LITERAL(CHAT_HEADERS), &answer).has_answer);
    stream_list_visit(&streams, see, &labelled);
    assert_int_equal(labelled.label, 6);
    assert_true(method->receive(stream, BYTES_LITERAL(CHAT_BODY), &answer).has_answer);
    stream_list_visit(&streams, see, &labelled);
    assert_int_equal(labelled.label, 7);
    assert_string_not_equal(labelled.state, begun.state);
    method->close(stream);
    stream_list_visit(&streams, see, &closed);
    assert_int_equal(closed.count, 0);
    buffer_done(&answer);
}

static void test_method__finds_whole_paths_only(void **state) {
    (void)state;
    assert_null(grpc_method_find(BYTES_EMPTY));
    assert_null(grpc_method_find(BYTES_LITERAL("/grpc.health.v1.Health/Chec")));
    assert_null(grpc_method_find(BYTES_LITERAL("/grpc.health.v1.Health/Checks")));
    assert_null(grpc_method_find(BYTES_LITERAL("/grpc.health.v1.Health/Watch")));
}
