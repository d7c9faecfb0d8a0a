// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/method.c"

#include "extproc/observer.h"

static atomic_int phase;
static struct budget streams_budget;
static struct metrics metrics;
static const struct process_options process = {.body_limit_bytes = 1000};
static const struct grpc_server server = {
    .process = &process, .metrics = &metrics, .streams_budget = &streams_budget, .phase = &phase};

static struct arena arena;

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

static void *open_call(const struct grpc_method *method, const struct grpc_server *of) {
    void *call = NULL;
    assert_int_equal(method->open(of, &arena, &call), STATUS_OK);
    return call;
}

static struct grpc_verdict check(struct bytes request, struct buffer *answer) {
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/grpc.health.v1.Health/Check"));
    assert_non_null(method);
    assert_true(method->takes_one);
    void *call = open_call(method, &server);
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
    phase = GRPC_SERVING;
    assert_health(BYTES_EMPTY, "\x08\x01");
    assert_health(own, "\x08\x01");
    phase = GRPC_DRAINING;
    assert_health(BYTES_EMPTY, "\x08\x02");
    assert_health(own, "\x08\x02");
    phase = GRPC_SERVING;
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
    assert_int_equal(method->refuse((void *)&server, GRPC_REFUSAL_TOO_LARGE, &answer).status,
                     GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(answer.len, 0);
}

// One answer of Watch; the state is the call's.
static void assert_watched(struct grpc_verdict verdict, struct buffer *answer,
                           const char *expected) {
    assert_false(verdict.ends_call);
    assert_int_equal(verdict.has_answer, expected != NULL);
    if (expected != NULL) assert_memory_equal(answer->data, expected, 2);
    assert_int_equal(answer->len, expected != NULL ? 2 : 0);
    answer->len = 0;
}

static void test_method__watch_tells_each_change_once(void **state) {
    (void)state;
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/grpc.health.v1.Health/Watch"));
    struct buffer answer = {0};
    void *known = open_call(method, &server), *unknown = open_call(method, &server);
    void *silent = open_call(method, &server);
    assert_watched(method->receive(known, BYTES_EMPTY, &answer), &answer, "\x08\x01");
    assert_watched(method->receive(unknown, BYTES_LITERAL("\x0a\x01x"), &answer), &answer,
                   "\x08\x03");
    assert_watched(method->wake(known, &answer), &answer, NULL);
    phase = GRPC_DRAINING;
    assert_watched(method->wake(known, &answer), &answer, "\x08\x02");
    assert_watched(method->wake(known, &answer), &answer, NULL);
    assert_watched(method->wake(unknown, &answer), &answer, NULL);
    assert_watched(method->wake(silent, &answer), &answer, NULL);
    assert_int_equal(method->receive(known, BYTES_EMPTY, &answer).status, GRPC_INVALID_ARGUMENT);
    phase = GRPC_CLOSING;
    assert_int_equal(method->wake(known, &answer).status, GRPC_UNAVAILABLE);
    assert_true(method->wake(silent, &answer).ends_call);
    phase = GRPC_SERVING;
    method->close(known);
    method->close(unknown);
    method->close(silent);
    buffer_done(&answer);
}

// One that comes between the two GOAWAYs is woken no more.
static void test_method__watch_does_not_begin_when_the_end_has(void **state) {
    (void)state;
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/grpc.health.v1.Health/Watch"));
    struct buffer answer = {0};
    void *late = open_call(method, &server);
    phase = GRPC_CLOSING;
    struct grpc_verdict verdict = method->receive(late, BYTES_EMPTY, &answer);
    phase = GRPC_SERVING;
    assert_true(verdict.ends_call);
    assert_int_equal(verdict.status, GRPC_UNAVAILABLE);
    method->close(late);
    buffer_done(&answer);
}

static void test_method__process_counts_its_calls_and_turns_more_away(void **state) {
    (void)state;
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/envoy.service.ext_proc.v3.ExternalProcessor/Process"));
    streams_budget.most = 1;
    void *first = open_call(method, &server), *second = NULL;
    assert_int_equal(method->open(&server, &arena, &second), STATUS_BUSY);
    struct buffer answer = {0};
    struct grpc_verdict verdict = method->turn_away(&server, &answer);
    assert_true(verdict.has_answer && verdict.ends_call);
    assert_int_equal(verdict.status, GRPC_OK);
    assert_memory_equal(answer.data, "\x3a", 1);                          // immediate_response
    assert_non_null(memmem(answer.data, answer.len, "\x08\xf7\x03", 3));  // its status, 503
    method->close(first);
    second = open_call(method, &server);
    method->close(second);
    assert_int_equal(streams_budget.used, 0);
    streams_budget.most = 0;
    buffer_done(&answer);
}

static void test_method__process_hands_messages_to_the_processor(void **state) {
    (void)state;
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/envoy.service.ext_proc.v3.ExternalProcessor/Process"));
    assert_non_null(method);
    assert_false(method->takes_one);
    assert_int_equal(method->message_most_bytes(&server), 1000 + (1 << 20));
    void *stream = open_call(method, &server);
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
static uint32_t label_six_or_seven(uint32_t before, const char *key, struct bytes value,
                                   bool is_known) {
    (void)is_known;
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
    const struct process_options watched = {.body_limit_bytes = 1000, .observer = &observer};
    struct grpc_server listing = server;
    listing.process = &watched;
    listing.streams = &streams;
    const struct grpc_method *method = grpc_method_find(
        BYTES_LITERAL("/envoy.service.ext_proc.v3.ExternalProcessor/Process"));
    struct seen begun = {0}, labelled = {0}, closed = {0};
    struct buffer answer = {0};
    void *stream = open_call(method, &listing);
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
    assert_null(grpc_method_find(BYTES_LITERAL("/grpc.health.v1.Health/List")));
}
