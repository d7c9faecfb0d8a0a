// SPDX-License-Identifier: Apache-2.0
#include "extproc/http2/session.c"

#include "extproc/budget.h"
#include "tests/unit/extproc/http2/client.h"

#define NOW_NS NS_PER_SECOND

// An echo: what comes goes back, and the end brings trailers. `/silent` never answers.
struct echo {
    struct http2_stream *stream;
    bool is_silent;
};

static struct {
    size_t opened, ended, closed;
    size_t received_bytes;
    bool refuses;
} seen;

static const struct http2_field trailers[] = {{BYTES_LITERAL("grpc-status"), BYTES_LITERAL("0")}};

static void *echo_open(void *context, struct http2_stream *stream,
                       const struct http2_request *request) {
    assert_ptr_equal(context, &seen);
    if (seen.refuses) return NULL;
    seen.opened++;
    struct echo *echo = calloc(1, sizeof(*echo));
    echo->stream = stream;
    echo->is_silent = bytes_equal(request->path, BYTES_LITERAL("/silent"));
    if (!echo->is_silent) http2_stream_respond(stream, "200", NULL, 0, false);
    return echo;
}

static void echo_data(void *state, struct bytes piece) {
    struct echo *echo = state;
    seen.received_bytes += piece.len;
    if (echo->is_silent) return;
    assert_int_equal(buffer_append(http2_stream_output(echo->stream), piece), STATUS_OK);
    http2_stream_flush(echo->stream);
}

static void echo_end(void *state) {
    struct echo *echo = state;
    seen.ended++;
    if (!echo->is_silent) http2_stream_finish(echo->stream, trailers, COUNT_OF(trailers));
}

static void echo_close(void *state) {
    seen.closed++;
    free(state);
}

static const struct http2_handler echo_handler = {echo_open, echo_data, echo_end, echo_close};

static struct budget budget;

static struct http2_session *new_session(void) {
    const struct http2_options options = {.streams_most = 4096, .output_budget = &budget};
    struct http2_session *session = NULL;
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(http2_session_new(&options, &echo_handler, &seen, NOW_NS, &session),
                     STATUS_OK);
    return session;
}

static void begin(struct client *client, uint32_t window_bytes) {
    client_init(client, new_session(), window_bytes);
}

// Everything that was opened is closed, whatever happened before.
static void end(struct client *client) {
    http2_session_free(client->server);
    client_done(client);
    assert_int_equal(seen.closed, seen.opened);
    assert_int_equal(budget.used, 0);
}

static void assert_text(const char *expected, struct buffer *body) {
    assert_int_equal(body->len, strlen(expected));
    assert_memory_equal(body->data, expected, body->len);
}

static void test_session__answers_with_body_and_trailers(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    int32_t id = client_request(&client, "/");
    client_send(&client, id, BYTES_LITERAL("hello"));
    client_run(&client);
    struct reply *reply = client_reply(&client, id);
    assert_string_equal(reply->http_status, "200");
    assert_text("hello", &reply->body);
    assert_false(reply->is_ended);
    client_end(&client, id);
    client_run(&client);
    assert_string_equal(reply->grpc_status, "0");
    assert_int_equal(reply->header_sections, 2);
    assert_true(reply->is_closed);
    assert_int_equal(reply->close_code, NGHTTP2_NO_ERROR);
    assert_int_equal(seen.closed, 1);
    end(&client);
}

static void test_session__does_not_mind_where_its_input_is_cut(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client.piece_bytes = 1;
    int32_t id = client_request(&client, "/");
    client_send(&client, id, BYTES_LITERAL("hello"));
    client_end(&client, id);
    client_run(&client);
    assert_text("hello", &client_reply(&client, id)->body);
    assert_string_equal(client_reply(&client, id)->grpc_status, "0");
    end(&client);
}

// The client's windows of 64 KiB are all that it reads ahead; it opens them as it reads.
static void test_session__sends_a_megabyte_through_small_windows(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    enum { LEN = 1 << 20 };
    uint8_t *body = malloc(LEN);
    for (size_t i = 0; i < LEN; i++) body[i] = (uint8_t)(i * 7 + (i >> 8));
    int32_t id = client_request(&client, "/");
    client_send(&client, id, bytes_of(body, LEN));
    client_end(&client, id);
    client_run(&client);
    struct reply *reply = client_reply(&client, id);
    assert_int_equal(reply->body.len, LEN);
    assert_memory_equal(reply->body.data, body, LEN);
    assert_string_equal(reply->grpc_status, "0");
    free(body);
    end(&client);
}

// The window of the connection is given back, and that of the stream.
static void test_session__takes_more_than_its_windows_hold(void **state) {
    (void)state;
    struct client client;
    begin(&client, 1 << 30);
    enum { LEN = HTTP2_CONNECTION_WINDOW_BYTES + HTTP2_WINDOW_BYTES };
    uint8_t *body = calloc(1, LEN);
    int32_t id = client_request(&client, "/");
    client_send(&client, id, bytes_of(body, LEN));
    client_end(&client, id);
    client_run(&client);
    assert_int_equal(seen.received_bytes, LEN);
    assert_string_equal(client_reply(&client, id)->grpc_status, "0");
    free(body);
    end(&client);
}

static void test_session__takes_a_reset_as_the_end(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    int32_t id = client_request(&client, "/");
    client_send(&client, id, BYTES_LITERAL("hello"));
    client_run(&client);
    assert_int_equal(seen.closed, 0);
    client_reset(&client, id);
    client_run(&client);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(client.goaway_count, 0);
    end(&client);
}

// The reset comes in the same piece as the request: the answer finds its stream gone.
static void test_session__drops_what_a_reset_stream_still_had_to_say(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client_run(&client);
    int32_t id = client_request(&client, "/");
    client_send(&client, id, BYTES_LITERAL("hello"));
    const uint8_t *data;
    nghttp2_ssize len;
    struct buffer both = {0};
    for (int i = 0; i < 2; i++) {
        while ((len = nghttp2_session_mem_send2(client.nghttp2, &data)) > 0) {
            assert_int_equal(buffer_append(&both, bytes_of(data, (size_t)len)), STATUS_OK);
        }
        client_reset(&client, id);
    }
    client_feed_server(&client, buffer_bytes(&both));
    buffer_done(&both);
    int32_t next = client_request(&client, "/");
    client_end(&client, next);
    client_run(&client);
    assert_int_equal(client.server_status, STATUS_OK);
    assert_string_equal(client_reply(&client, next)->grpc_status, "0");
    assert_int_equal(client.goaway_count, 0);
    end(&client);
}

// Would catch: answers that a peer does not read, and that nobody knows of when the next body
// comes.
static void test_session__answers_are_charged_until_they_are_read(void **state) {
    (void)state;
    static const uint8_t body[60000];
    struct client client;
    begin(&client, 65535);
    client_run(&client);
    for (int is_reset = 0; is_reset <= 1; is_reset++) {
        int32_t id = client_request(&client, "/");
        client_send(&client, id, bytes_of(body, sizeof(body)));
        struct buffer sent = {0};
        const uint8_t *data;
        nghttp2_ssize len;
        while ((len = nghttp2_session_mem_send2(client.nghttp2, &data)) > 0) {
            assert_int_equal(buffer_append(&sent, bytes_of(data, (size_t)len)), STATUS_OK);
        }
        client_feed_server(&client, buffer_bytes(&sent));
        buffer_done(&sent);
        assert_true(budget.used >= sizeof(body));
        if (is_reset) client_reset(&client, id);
        if (!is_reset) client_end(&client, id);
        client_run(&client);
        assert_int_equal(budget.used, 0);
    }
    end(&client);
}

// nghttp2's own limit is 1000, and Envoy ends each of its streams so.
static void test_session__lets_5000_resets_in_a_row_pass(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    for (int i = 0; i < 5000; i++) {
        int32_t id = client_request(&client, "/");
        client_send(&client, id, BYTES_LITERAL("x"));
        client_run(&client);
        client_reset(&client, id);
        client_run(&client);
    }
    assert_int_equal(seen.closed, 5000);
    assert_int_equal(client.goaway_count, 0);
    assert_false(http2_session_is_broken(client.server));
    end(&client);
}

static void test_session__serves_4096_streams_at_once(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client_run(&client);
    int32_t first = client_request(&client, "/"), last = first;
    for (int i = 1; i < 4096; i++) last = client_request(&client, "/");
    client_run(&client);
    assert_int_equal(http2_session_stream_count(client.server), 4096);
    for (int32_t id = first; id <= last; id += 2) {
        client_send(&client, id, BYTES_LITERAL("hi"));
        client_end(&client, id);
    }
    client_run(&client);
    for (int32_t id = first; id <= last; id += 2) {
        assert_text("hi", &client_reply(&client, id)->body);
    }
    assert_int_equal(http2_session_stream_count(client.server), 0);
    end(&client);
}

static void test_session__refuses_a_stream_that_has_no_memory_and_serves_the_next(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    seen.refuses = true;
    int32_t id = client_request(&client, "/");
    client_run(&client);
    assert_true(client_reply(&client, id)->is_closed);
    assert_int_equal(client_reply(&client, id)->close_code, NGHTTP2_REFUSED_STREAM);
    seen.refuses = false;
    id = client_request(&client, "/");
    client_end(&client, id);
    client_run(&client);
    assert_string_equal(client_reply(&client, id)->grpc_status, "0");
    end(&client);
}

// Trailers that end the stream before the peer has: it is told to stop, without an error.
static void test_session__asks_a_peer_to_stop_when_all_is_said(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    int32_t id = client_request(&client, "/");
    client_run(&client);
    http2_stream_finish(client.server->streams, trailers, COUNT_OF(trailers));
    client_run(&client);
    assert_true(client_reply(&client, id)->is_ended);
    assert_true(client_reply(&client, id)->is_closed);
    assert_int_equal(client_reply(&client, id)->close_code, NGHTTP2_NO_ERROR);
    assert_int_equal(seen.closed, 1);
    end(&client);
}

static void test_session__resets_a_stream_with_endless_headers_only(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    enum { LEN = 30000 };
    char *long_path = malloc(LEN + 1);
    memset(long_path, 'a', LEN);
    long_path[0] = '/';
    long_path[LEN] = '\0';
    nghttp2_nv fields[8] = {0};
    const char *const names[] = {":method", ":scheme", ":path", ":authority", "a", "b", "c", "d"};
    const char *const values[] = {"POST", "http", "/", "x", long_path, long_path, long_path, ""};
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        fields[i] = (nghttp2_nv){.name = (uint8_t *)names[i],
                                 .namelen = strlen(names[i]),
                                 .value = (uint8_t *)values[i],
                                 .valuelen = strlen(values[i])};
    }
    int32_t fits = nghttp2_submit_request2(client.nghttp2, NULL, fields, 6, NULL, NULL);
    int32_t too_long = nghttp2_submit_request2(client.nghttp2, NULL, fields, 8, NULL, NULL);
    client_run(&client);
    assert_string_equal(client_reply(&client, fits)->grpc_status, "0");
    assert_true(client_reply(&client, too_long)->is_closed);
    assert_int_equal(client_reply(&client, too_long)->close_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(client.goaway_count, 0);
    free(long_path);
    end(&client);
}

// A path that is longer than what is kept does not match by its beginning, nor by nothing.
static void test_session__takes_a_long_path_as_none(void **state) {
    (void)state;
    struct http2_session *session = new_session();
    struct http2_stream *stream = http2_stream_new(session, 1);
    char text[96];
    memset(text, 'x', sizeof(text));
    http2_stream_keep_header(stream, BYTES_LITERAL(":path"), bytes_of(text, sizeof(text)));
    assert_int_equal(stream->path.len, 0);
    http2_stream_keep_header(stream, BYTES_LITERAL(":path"), bytes_of(text, sizeof(text) - 1));
    assert_int_equal(stream->path.len, sizeof(text) - 1);
    http2_session_free(session);
}

// The client reads nothing of the answers and sends on: it may fill its window, then it has to
// wait.
static void test_session__gives_no_window_to_who_does_not_read(void **state) {
    (void)state;
    struct client client;
    begin(&client, 0);
    enum { LEN = 8 << 20 };
    uint8_t *body = calloc(1, LEN);
    int32_t id = client_request(&client, "/");
    client_send(&client, id, bytes_of(body, LEN));
    client_run(&client);
    assert_in_range(seen.received_bytes, HTTP2_WINDOW_BYTES, 3 * HTTP2_WINDOW_BYTES / 2);
    nghttp2_session_set_local_window_size(client.nghttp2, NGHTTP2_FLAG_NONE, id, 1 << 20);
    client_end(&client, id);
    client_run(&client);
    assert_int_equal(client_reply(&client, id)->body.len, LEN);
    free(body);
    end(&client);
}

// Else one who does not stop could send for ever to a stream that is over.
static void test_session__gives_no_window_behind_a_whole_response(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    int32_t id = client_request(&client, "/silent");
    client_run(&client);
    struct http2_stream *stream = client.server->streams;
    http2_stream_respond(stream, "200", NULL, 0, true);
    http2_stream_consume(stream, 1000);
    assert_int_equal(stream->window_withheld, 1000);
    client_run(&client);
    assert_true(client_reply(&client, id)->is_closed);
    end(&client);
}

static void test_session__hands_out_no_more_than_is_asked_for(void **state) {
    (void)state;
    struct client client;
    begin(&client, 1 << 20);
    nghttp2_session_set_local_window_size(client.nghttp2, NGHTTP2_FLAG_NONE, 0, 1 << 20);
    enum { LEN = 1 << 20 };
    uint8_t *body = calloc(1, LEN);
    int32_t id = client_request(&client, "/");
    client_send(&client, id, bytes_of(body, LEN));
    while (client_flush(&client)) {
        struct buffer output = {0};
        assert_int_equal(http2_session_send(client.server, &output, 65536), STATUS_OK);
        assert_in_range(output.len, 0, 65536 + 16384 + 9);
        nghttp2_session_mem_recv2(client.nghttp2, output.data, output.len);
        buffer_done(&output);
    }
    client_run(&client);
    assert_int_equal(client_reply(&client, id)->body.len, LEN);
    free(body);
    end(&client);
}

static void test_session__drains_in_two_steps_and_serves_what_came_between(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    int32_t early = client_request(&client, "/");
    client_run(&client);
    http2_session_drain(client.server, NOW_NS);
    // On its way while the first GOAWAY is on its own.
    int32_t between = client_request(&client, "/");
    client_flush(&client);
    client_receive(&client);
    assert_int_equal(client.goaway_count, 1);
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(client.goaway_last_stream, INT32_MAX);
    client_run(&client);
    assert_int_equal(client.goaway_count, 2);
    assert_int_equal(client.goaway_last_stream, between);
    assert_false(http2_session_is_done(client.server));
    client_send(&client, early, BYTES_LITERAL("still"));
    client_end(&client, early);
    client_end(&client, between);
    client_run(&client);
    assert_text("still", &client_reply(&client, early)->body);
    assert_string_equal(client_reply(&client, between)->grpc_status, "0");
    assert_true(http2_session_is_done(client.server));
    assert_false(http2_session_is_broken(client.server));
    end(&client);
}

static void test_session__drains_also_a_peer_that_acknowledges_nothing(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    int32_t id = client_request(&client, "/");
    client_run(&client);
    http2_session_drain(client.server, NOW_NS);
    client_receive(&client);
    assert_int_equal(client.goaway_count, 1);
    assert_int_equal(http2_session_tick(client.server, NOW_NS + DRAIN_ANSWER_NS), STATUS_OK);
    client_receive(&client);
    assert_int_equal(client.goaway_count, 1);
    assert_int_equal(http2_session_tick(client.server, NOW_NS + DRAIN_ANSWER_NS + 1), STATUS_OK);
    client_receive(&client);
    assert_int_equal(client.goaway_count, 2);
    assert_int_equal(client.goaway_last_stream, id);
    client_reset(&client, id);
    client_run(&client);
    assert_int_equal(client.goaway_count, 2);
    assert_true(http2_session_is_done(client.server));
    end(&client);
}

static void test_session__answers_garbage_with_a_goaway(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client_feed_server(&client, BYTES_LITERAL("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(client.server_status, STATUS_MALFORMED);
    client_receive(&client);
    assert_int_equal(client.goaway_count, 1);
    assert_int_equal(client.goaway_code, NGHTTP2_PROTOCOL_ERROR);
    assert_true(http2_session_is_broken(client.server));
    assert_true(http2_session_is_done(client.server));
    end(&client);
}

static void test_session__ends_a_connection_that_breaks_the_protocol_later(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    int32_t id = client_request(&client, "/");
    client_run(&client);
    const uint8_t data_on_stream_0[] = {0, 0, 1, 0, 0, 0, 0, 0, 0, 'x'};
    client_feed_server(&client, bytes_of(data_on_stream_0, sizeof(data_on_stream_0)));
    client_receive(&client);
    assert_int_equal(client.goaway_count, 1);
    assert_int_equal(client.goaway_code, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(client.goaway_last_stream, id);
    assert_true(http2_session_is_broken(client.server));
    assert_true(http2_session_is_done(client.server));
    end(&client);
}

// Go's gRPC clients, kubelet's probes among them, leave so: no reason to count an error.
static void test_session__takes_the_goaway_of_a_go_client_as_a_good_end(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client_run(&client);
    const uint8_t goaway[] = {0, 0, 8, NGHTTP2_GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0};
    client_feed_server(&client, bytes_of(goaway, sizeof(goaway)));
    client_receive(&client);
    assert_true(http2_session_is_done(client.server));
    assert_false(http2_session_is_broken(client.server));
    end(&client);
}

// Answers to PINGs that are never read would pile up.
static void test_session__ends_a_flood_of_pings(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client_run(&client);
    for (int i = 0; i < 2000 && client.server_status == STATUS_OK; i++) {
        const uint8_t ping[17] = {0, 0, 8, NGHTTP2_PING};
        client_feed_server(&client, bytes_of(ping, sizeof(ping)));
    }
    assert_int_equal(client.server_status, STATUS_MALFORMED);
    end(&client);
}

static void test_session__gives_up_on_a_peer_that_does_not_begin(void **state) {
    (void)state;
    struct http2_session *session = new_session();
    assert_int_equal(http2_session_tick(session, NOW_NS + PREFACE_MOST_NS), STATUS_OK);
    assert_int_equal(http2_session_tick(session, NOW_NS + PREFACE_MOST_NS + 1), STATUS_TRUNCATED);
    // Half a preface is none.
    struct bytes half = BYTES_LITERAL("PRI * HTTP/2.0\r\n");
    assert_int_equal(http2_session_receive(session, half, NOW_NS + PREFACE_MOST_NS), STATUS_OK);
    assert_int_equal(http2_session_tick(session, NOW_NS + PREFACE_MOST_NS + 1), STATUS_TRUNCATED);
    http2_session_free(session);
}

// A client begins as soon as it is connected, so one that has not for so long loses nothing; one
// that has just come may be about to.
static void test_session__does_not_wait_for_a_silent_peer_when_it_drains(void **state) {
    (void)state;
    struct http2_session *session = new_session();
    http2_session_drain(session, NOW_NS + 1);
    assert_int_equal(http2_session_tick(session, NOW_NS + DRAIN_ANSWER_NS), STATUS_OK);
    assert_int_equal(http2_session_tick(session, NOW_NS + DRAIN_ANSWER_NS + 1), STATUS_TRUNCATED);
    http2_session_free(session);
}

static void test_session__asks_a_silent_peer_and_gives_up_on_a_dead_one(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client_run(&client);
    assert_int_equal(http2_session_tick(client.server, NOW_NS + SILENCE_NS - 1), STATUS_OK);
    client_receive(&client);
    assert_int_equal(client.ping_count, 0);

    int64_t asked_ns = NOW_NS + SILENCE_NS;
    assert_int_equal(http2_session_tick(client.server, asked_ns), STATUS_OK);
    client_receive(&client);
    assert_int_equal(client.ping_count, 1);
    client.now_ns = asked_ns + PING_ANSWER_NS;
    client_run(&client);  // the answer
    assert_int_equal(http2_session_tick(client.server, client.now_ns + 1), STATUS_OK);

    asked_ns = client.now_ns + SILENCE_NS;
    assert_int_equal(http2_session_tick(client.server, asked_ns), STATUS_OK);
    client_receive(&client);
    assert_int_equal(client.ping_count, 2);
    assert_int_equal(http2_session_tick(client.server, asked_ns + PING_ANSWER_NS), STATUS_OK);
    assert_int_equal(http2_session_tick(client.server, asked_ns + PING_ANSWER_NS + 1),
                     STATUS_TRUNCATED);
    end(&client);
}

// A burst of requests queues thousands of frames without being a flood.
static void test_session__is_clogged_only_by_a_flood(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    client_run(&client);
    for (int i = 0; i < 4096; i++) client_request(&client, "/");
    client_flush(&client);
    assert_false(http2_session_is_clogged(client.server));
    for (int i = 0; i <= CLOGGED_FRAMES; i++) {
        nghttp2_submit_ping(client.server->nghttp2, NGHTTP2_FLAG_NONE, ping_alive);
    }
    assert_true(http2_session_is_clogged(client.server));
    end(&client);
}

static void test_session__closes_what_is_open_when_it_is_freed(void **state) {
    (void)state;
    struct client client;
    begin(&client, 65535);
    for (int i = 0; i < 10; i++) client_request(&client, "/");
    client_run(&client);
    assert_int_equal(seen.opened, 10);
    assert_int_equal(seen.closed, 0);
    end(&client);
    assert_int_equal(seen.closed, 10);
    http2_session_free(NULL);
}
