// SPDX-License-Identifier: Apache-2.0
// Calls over a real HTTP/2 client in memory, with a method of the test's own.
#include "extproc/grpc/call.c"

#include "tests/unit/extproc/http2/client.h"

static struct metrics metrics;
static struct budget budget;
static atomic_int phase;
static struct grpc_server server = {.metrics = &metrics, .budget = &budget, .phase = &phase};

// The method: "silent" is not answered, "bye" is answered and ends the call, "bad" ends it with an
// error, everything else comes back. Of "/watch" each phase is told.
static size_t opened, closed, received;
static enum status open_status;

static size_t test_most(const struct grpc_server *of) {
    (void)of;
    return 1 << 20;
}

static enum status test_open(const struct grpc_server *of, struct arena *arena, void **ret_state) {
    (void)arena;
    if (open_status != STATUS_OK) return open_status;
    opened++;
    *ret_state = (void *)of;
    return STATUS_OK;
}

static struct grpc_verdict test_turn_away(const struct grpc_server *of, struct buffer *answer) {
    assert_ptr_equal(of, &server);
    assert_int_equal(buffer_append_text(answer, "come again"), STATUS_OK);
    return (struct grpc_verdict){.has_answer = true, .ends_call = true, .text = ""};
}

static struct grpc_verdict test_receive(void *state, struct bytes message, struct buffer *answer) {
    assert_ptr_equal(state, &server);
    received++;
    if (bytes_equal(message, BYTES_LITERAL("silent"))) return (struct grpc_verdict){0};
    if (bytes_equal(message, BYTES_LITERAL("bad"))) {
        return (struct grpc_verdict){
            .ends_call = true, .status = GRPC_INVALID_ARGUMENT, .text = "it is bad"};
    }
    assert_int_equal(buffer_append(answer, message), STATUS_OK);
    bool is_last = bytes_equal(message, BYTES_LITERAL("bye"));
    return (struct grpc_verdict){.has_answer = true, .ends_call = is_last, .text = ""};
}

static struct grpc_verdict test_refuse(void *state, enum grpc_refusal why, struct buffer *answer) {
    assert_ptr_equal(state, &server);
    const char *text = why == GRPC_REFUSAL_TOO_LARGE ? "too long" : "too many";
    assert_int_equal(buffer_append_text(answer, text), STATUS_OK);
    return (struct grpc_verdict){
        .has_answer = true, .ends_call = true, .status = GRPC_RESOURCE_EXHAUSTED, .text = text};
}

static struct grpc_verdict test_wake(void *state, struct buffer *answer) {
    assert_ptr_equal(state, &server);
    if (phase == GRPC_CLOSING) {
        return (struct grpc_verdict){.ends_call = true, .status = GRPC_UNAVAILABLE, .text = "over"};
    }
    assert_int_equal(buffer_append_text(answer, "news"), STATUS_OK);
    return (struct grpc_verdict){.has_answer = true, .text = ""};
}

static void test_close(void *state) {
    assert_ptr_equal(state, &server);
    closed++;
}

const struct grpc_method *grpc_method_find(struct bytes path) {
    static struct grpc_method method = {.path = "/test",
                                        .message_most_bytes = test_most,
                                        .open = test_open,
                                        .receive = test_receive,
                                        .refuse = test_refuse,
                                        .turn_away = test_turn_away,
                                        .close = test_close};
    static struct grpc_method unary, watch;
    unary = watch = method;
    unary.takes_one = true;
    watch.wake = test_wake;
    if (bytes_equal(path, BYTES_LITERAL("/unary"))) return &unary;
    if (bytes_equal(path, BYTES_LITERAL("/watch"))) return &watch;
    return bytes_equal(path, BYTES_LITERAL("/test")) ? &method : NULL;
}

static struct client client;

static int setup(void **state) {
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    budget = (struct budget){0};
    opened = closed = received = 0;
    open_status = STATUS_OK;
    phase = GRPC_SERVING;
    const struct http2_options options = {.streams_most = 4096};
    struct http2_session *session;
    if (http2_session_new(&options, &grpc_call_handler, &server, NS_PER_SECOND, &session) !=
        STATUS_OK) {
        return -1;
    }
    client_init(&client, session, 65535);
    return 0;
}

// However a call went, nothing of it is left.
static int teardown(void **state) {
    (void)state;
    http2_session_free(client.server);
    client_done(&client);
    bool is_clean = closed == opened && budget.used == 0 && server.watching == NULL &&
                    metrics_read(&metrics, METRIC_STREAMS) == 0;
    return is_clean ? 0 : -1;
}

static void send_message(int32_t id, struct bytes message) {
    uint8_t prefix[ENVELOPE_PREFIX_BYTES];
    envelope_write_prefix(prefix, (uint32_t)message.len);
    client_send(&client, id, bytes_of(prefix, sizeof(prefix)));
    client_send(&client, id, message);
}

static void assert_body(int32_t id, const char *expected, size_t len) {
    struct buffer *body = &client_reply(&client, id)->body;
    assert_int_equal(body->len, len);
    if (len != 0) assert_memory_equal(body->data, expected, len);
}
#define assert_body_is(id, literal) assert_body((id), (literal), sizeof(literal) - 1)

static void assert_status(int32_t id, const char *status, const char *text) {
    struct reply *reply = client_reply(&client, id);
    assert_string_equal(reply->http_status, "200");
    assert_string_equal(reply->grpc_status, status);
    assert_string_equal(reply->grpc_message, text);
    assert_true(reply->is_ended);
    assert_true(reply->is_closed);
    assert_int_equal(reply->close_code, NGHTTP2_NO_ERROR);
}

static void test_call__answers_each_message_in_order(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test");
    send_message(id, BYTES_LITERAL("one"));
    client_run(&client);
    assert_body_is(id, "\0\0\0\0\3one");
    send_message(id, BYTES_LITERAL("silent"));
    send_message(id, BYTES_EMPTY);
    send_message(id, BYTES_LITERAL("two"));
    client_run(&client);
    assert_body_is(id, "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\3two");
    assert_int_equal(metrics_read(&metrics, METRIC_STREAMS), 1);
    client_end(&client, id);
    client_run(&client);
    assert_status(id, "0", "");
    assert_int_equal(client_reply(&client, id)->header_sections, 2);
    assert_int_equal(received, 4);
    assert_int_equal(metrics_read(&metrics, METRIC_STREAMS_OPENED), 1);
}

static void test_call__ends_after_the_last_answer(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test");
    send_message(id, BYTES_LITERAL("bye"));
    send_message(id, BYTES_LITERAL("is not read"));
    client_run(&client);
    assert_body_is(id, "\0\0\0\0\3bye");
    assert_status(id, "0", "");
    assert_int_equal(received, 1);
}

static void test_call__sends_an_error_before_any_answer_as_trailers_only(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test");
    send_message(id, BYTES_LITERAL("bad"));
    client_run(&client);
    assert_status(id, "3", "it is bad");
    assert_int_equal(client_reply(&client, id)->header_sections, 1);
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_MESSAGE), 1);
}

static void test_call__sends_an_error_after_answers_as_trailers(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test");
    send_message(id, BYTES_LITERAL("one"));
    send_message(id, BYTES_LITERAL("bad"));
    client_run(&client);
    assert_body_is(id, "\0\0\0\0\3one");
    assert_status(id, "3", "it is bad");
    assert_int_equal(client_reply(&client, id)->header_sections, 2);
}

// Envoy's way to end: no trailers, no error, the state is let go, others go on.
static void test_call__takes_a_reset_as_a_good_end(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test"), other = client_request(&client, "/test");
    send_message(id, BYTES_LITERAL("one"));
    client_send(&client, id, BYTES_LITERAL("\0\0\0\1\0half"));
    client_run(&client);
    assert_int_not_equal(budget.used, 0);
    client_reset(&client, id);
    client_run(&client);
    assert_int_equal(closed, 1);
    assert_int_equal(budget.used, 0);
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_MESSAGE), 0);
    send_message(other, BYTES_LITERAL("bye"));
    client_run(&client);
    assert_status(other, "0", "");
}

static void test_call__refuses_an_unknown_method(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/nope");
    send_message(id, BYTES_LITERAL("one"));
    client_run(&client);
    assert_status(id, "12", "unknown method");
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_METHOD), 1);
}

static void test_call__refuses_what_is_not_grpc_in_the_words_of_http(void **state) {
    (void)state;
    const struct {
        const char *method, *type, *http_status;
    } rows[] = {
        {"POST", "application/json", "415"},         {"POST", "application/grpc-web", "415"},
        {"POST", "application/grpc+json", "415"},    {"GET", "application/grpc", "405"},
        {"POST", "application/grpc+proto", "200"},   {"POST", "application/grpc;x=y", "200"},
        {"POST", "application/grpc+proto;x", "200"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int32_t id = client_request_as(&client, rows[i].method, "/test", rows[i].type);
        client_end(&client, id);
        client_run(&client);
        assert_string_equal(client_reply(&client, id)->http_status, rows[i].http_status);
        bool is_grpc_reply = strcmp(rows[i].http_status, "200") == 0;
        assert_string_equal(client_reply(&client, id)->grpc_status, is_grpc_reply ? "0" : "");
        assert_true(client_reply(&client, id)->is_closed);
    }
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_CONTENT_TYPE), 4);
}

static void test_call__lets_the_method_answer_a_message_over_the_limit(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test");
    client_send(&client, id, BYTES_LITERAL("\0\0\x10\0\1"));
    client_run(&client);
    assert_body_is(id, "\0\0\0\0\10too long");
    assert_status(id, "8", "too long");
    assert_int_equal(received, 0);
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_TOO_LARGE), 1);
}

static void test_call__refuses_compressed_and_unknown_flags(void **state) {
    (void)state;
    int32_t compressed = client_request(&client, "/test"), odd = client_request(&client, "/test");
    client_send(&client, compressed, BYTES_LITERAL("\1\0\0\0\3abc"));
    client_send(&client, odd, BYTES_LITERAL("\2\0\0\0\3abc"));
    client_run(&client);
    assert_status(compressed, "12", "compressed messages are not supported");
    assert_status(odd, "13", "a message has unknown flags");
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_COMPRESSED), 1);
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_MESSAGE), 1);
}

static void test_call__refuses_past_the_budget_and_serves_when_there_is_room_again(void **state) {
    (void)state;
    budget.most = 300;
    int32_t first = client_request(&client, "/test"), second = client_request(&client, "/test");
    client_send(&client, first, BYTES_LITERAL("\0\0\0\1\0half"));
    client_run(&client);
    client_send(&client, second, BYTES_LITERAL("\0\0\0\1\0half"));
    client_run(&client);
    assert_body_is(second, "\0\0\0\0\10too many");
    assert_status(second, "8", "too many");
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_MEMORY), 1);
    client_reset(&client, first);
    client_run(&client);
    int32_t third = client_request(&client, "/test");
    client_send(&client, third, BYTES_LITERAL("\0\0\0\1\0half"));
    client_run(&client);
    assert_int_equal(budget.used, 256);
}

static void test_call__gives_the_room_of_a_message_back_with_its_answer(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test");
    client_send(&client, id, BYTES_LITERAL("\0\0\0\0\4ha"));
    client_run(&client);
    assert_int_equal(budget.used, 4);
    client_send(&client, id, BYTES_LITERAL("lf"));
    client_run(&client);
    assert_int_equal(budget.used, 0);
}

static void test_call__tells_when_the_method_has_no_memory(void **state) {
    (void)state;
    open_status = STATUS_NO_MEMORY;
    int32_t id = client_request(&client, "/test");
    client_run(&client);
    assert_status(id, "8", "no memory");
}

static void test_call__lets_the_method_turn_a_caller_away(void **state) {
    (void)state;
    open_status = STATUS_BUSY;
    int32_t id = client_request(&client, "/test");
    client_send(&client, id, BYTES_LITERAL("\0\0\0\0\3abc"));
    client_run(&client);
    assert_body_is(id, "\0\0\0\0\12come again");
    assert_status(id, "0", "");
    assert_int_equal(received, 0);
    assert_int_equal(metrics_read(&metrics, METRIC_REFUSED_STREAMS), 1);
}

static void test_call__tells_the_phase_to_who_watches_until_it_ends(void **state) {
    (void)state;
    int32_t one = client_request(&client, "/watch"), other = client_request(&client, "/watch");
    int32_t gone = client_request(&client, "/watch");
    client_end(&client, one);  // who watches has said all, and hears on
    client_run(&client);
    client_reset(&client, gone);
    client_run(&client);
    grpc_calls_wake(&server);
    client_run(&client);
    assert_body_is(one, "\0\0\0\0\4news");
    assert_body_is(other, "\0\0\0\0\4news");
    phase = GRPC_CLOSING;
    grpc_calls_wake(&server);
    grpc_calls_wake(&server);
    client_run(&client);
    assert_status(one, "14", "over");
    assert_status(other, "14", "over");
}

static void test_call__wants_its_last_message_whole(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/test");
    client_send(&client, id, BYTES_LITERAL("\0\0\0\0\3ab"));
    client_end(&client, id);
    client_run(&client);
    assert_status(id, "13", "the last message is cut");
}

static void test_call__wants_a_message_where_one_is_due(void **state) {
    (void)state;
    int32_t id = client_request(&client, "/unary");
    client_end(&client, id);
    client_run(&client);
    assert_status(id, "3", "there is no message");
}

// A message over many frames, its prefix cut too, and an answer of the same size.
static void test_call__carries_a_megabyte_in_any_pieces(void **state) {
    (void)state;
    enum { LEN = 1 << 20 };
    uint8_t *message = malloc(LEN);
    for (size_t i = 0; i < LEN; i++) message[i] = (uint8_t)(i * 31 + (i >> 8));
    for (size_t piece = 7001; piece < 200000; piece *= 3) {
        client.piece_bytes = piece;
        int32_t id = client_request(&client, "/test");
        send_message(id, bytes_of(message, LEN));
        client_end(&client, id);
        client_run(&client);
        struct buffer *body = &client_reply(&client, id)->body;
        assert_int_equal(body->len, ENVELOPE_PREFIX_BYTES + LEN);
        assert_memory_equal(body->data + ENVELOPE_PREFIX_BYTES, message, LEN);
        assert_status(id, "0", "");
    }
    free(message);
}
