// SPDX-License-Identifier: Apache-2.0
// The probe against our own server side, and against what others may say.
#include "extproc/grpc/probe.c"

#include "base/clock.h"
#include "extproc/grpc/call.h"

static struct metrics metrics;
static struct budget budget;
static struct budget streams_budget;
static atomic_int phase;
static const struct process_options process = {.body_limit_bytes = 1000};
static struct grpc_server server = {.process = &process,
                                    .metrics = &metrics,
                                    .budget = &budget,
                                    .streams_budget = &streams_budget,
                                    .phase = &phase};

// What a listener answers to the probe, read in pieces of `piece_bytes`.
static enum probe_verdict ask(size_t piece_bytes) {
    const struct http2_options options = {.streams_most = 1};
    struct http2_session *session;
    struct buffer output = {0};
    assert_int_equal(
        http2_session_new(&options, &grpc_call_handler, &server, NS_PER_SECOND, &session),
        STATUS_OK);
    assert_int_equal(http2_session_receive(session, probe_request(), NS_PER_SECOND), STATUS_OK);
    assert_int_equal(http2_session_send(session, &output, SIZE_MAX), STATUS_OK);
    struct probe probe = {0};
    enum probe_verdict verdict = PROBE_WAIT;
    for (size_t at = 0; at < output.len && verdict == PROBE_WAIT; at += piece_bytes) {
        size_t left = output.len - at;
        size_t len = left < piece_bytes ? left : piece_bytes;
        verdict = probe_read(&probe, bytes_of(output.data + at, len));
    }
    buffer_done(&output);
    http2_session_free(session);
    return verdict;
}

static void test_probe__hears_that_our_server_serves(void **state) {
    (void)state;
    phase = GRPC_SERVING;
    assert_int_equal(ask(1), PROBE_SERVING);
    assert_int_equal(ask(SIZE_MAX / 2), PROBE_SERVING);
}

static void test_probe__hears_that_our_server_drains(void **state) {
    (void)state;
    phase = GRPC_DRAINING;
    assert_int_equal(ask(1), PROBE_NOT_SERVING);
    assert_int_equal(ask(SIZE_MAX / 2), PROBE_NOT_SERVING);
    phase = GRPC_SERVING;
}

static enum probe_verdict verdict_on(struct bytes bytes) {
    struct probe probe = {0};
    return probe_read(&probe, bytes);
}

static void test_probe__takes_no_answer_as_none(void **state) {
    (void)state;
    const uint8_t settings[] = {FRAME(0, SETTINGS, 0, 0)};
    const uint8_t goaway[] = {
        FRAME(0, SETTINGS, 0, 0), FRAME(8, GOAWAY, 0, 0), 0, 0, 0, 0, 0, 0, 0, 1};
    const uint8_t reset[] = {FRAME(4, RST_STREAM, 0, 1), 0, 0, 0, 2};
    const uint8_t trailers_only[] = {FRAME(1, HEADERS, END_STREAM | END_HEADERS, 1), 0x88};
    const uint8_t half[] = {FRAME(6, DATA, 0, 1), 0, 0, 0, 0, 2, 8};
    const uint8_t endless[] = {
        FRAME(17, DATA, 0, 1), 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(verdict_on(bytes_of(settings, sizeof(settings))), PROBE_WAIT);
    assert_int_equal(verdict_on(bytes_of(goaway, sizeof(goaway))), PROBE_BROKEN);
    assert_int_equal(verdict_on(bytes_of(reset, sizeof(reset))), PROBE_BROKEN);
    assert_int_equal(verdict_on(bytes_of(trailers_only, sizeof(trailers_only))), PROBE_BROKEN);
    assert_int_equal(verdict_on(bytes_of(half, sizeof(half))), PROBE_WAIT);
    assert_int_equal(verdict_on(bytes_of(endless, sizeof(endless))), PROBE_BROKEN);
}
