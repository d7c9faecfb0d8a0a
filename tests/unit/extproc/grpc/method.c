// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/method.c"

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

static void test_method__finds_whole_paths_only(void **state) {
    (void)state;
    assert_null(grpc_method_find(BYTES_EMPTY));
    assert_null(grpc_method_find(BYTES_LITERAL("/grpc.health.v1.Health/Chec")));
    assert_null(grpc_method_find(BYTES_LITERAL("/grpc.health.v1.Health/Checks")));
    assert_null(grpc_method_find(BYTES_LITERAL("/grpc.health.v1.Health/Watch")));
}
