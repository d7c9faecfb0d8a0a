// SPDX-License-Identifier: Apache-2.0
// What the metrics of generative AI are told of a request, however it ends.
#include "extproc/process/record.c"

#include <stdio.h>

#include "base/clock.h"
#include "tests/unit/extproc/process/envoy.h"

static struct envoy envoy;
static struct genai_catalogue catalogue = GENAI_CATALOGUE_INIT;
static struct genai genai;
static struct buffer text;

static int setup(void **state) {
    (void)state;
    envoy_start(&envoy);
    catalogue.count = 0;
    genai = (struct genai){.catalogue = &catalogue};
    envoy.metrics.genai = &genai;
    envoy.now_ns = 100 * NS_PER_SECOND;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    envoy_stop(&envoy);
    genai_done(&genai);
    buffer_done(&text);
    return 0;
}

static void after_ms(int64_t ms) {
    envoy.now_ns += ms * NS_PER_MS;
}

static void assert_has(const char *part) {
    struct genai *const threads[] = {&genai};
    text.len = 0;
    assert_int_equal(genai_write(&catalogue, threads, 1, &text), STATUS_OK);
    assert_int_equal(buffer_append_byte(&text, '\0'), STATUS_OK);
    if (strstr((char *)text.data, part) == NULL) fail_msg("no %s in\n%s", part, (char *)text.data);
}

static void send_request(const char *body) {
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":path", "/v1/chat/completions",
                       ":method", "POST", NULL);
    if (body != NULL) envoy_send_body(&envoy, ENVOY_REQUEST_BODY, body, true);
}

static void send_reply_headers(const char *status, const char *type) {
    envoy_send_headers(&envoy, ENVOY_RESPONSE_HEADERS, false, ":status", status, "content-type",
                       type, NULL);
}

#define ASKED "{\"model\":\"asked\",\"messages\":[]}"
#define LABELS(original, response)                                                                     \
    "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_original_model=\"" original \
    "\",gen_ai_request_model=\"" original "\",gen_ai_response_model=\"" response "\""
#define DURATION_IS(labels, seconds)                                                               \
    assert_has("gen_ai_server_request_duration_seconds_sum{" labels "} " seconds "\n");            \
    assert_has("gen_ai_server_request_duration_seconds_count{" labels "} 1\n")

static void test_record__tells_the_tokens_and_the_time_of_a_reply(void **state) {
    (void)state;
    send_request(ASKED);
    after_ms(200);
    send_reply_headers("200", "application/json");
    after_ms(50);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY,
                    "{\"model\":\"gave\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":3}}}",
                    true);
    after_ms(1000);
    process_stream_close(envoy.stream, envoy.now_ns);
    DURATION_IS(LABELS("asked", "gave"), "0.250000000");
    assert_has("gen_ai_client_token_usage_sum{" LABELS(
        "asked", "gave") ",gen_ai_token_type=\"input\"} 11\n");
    assert_has("gen_ai_client_token_usage_sum{" LABELS(
        "asked", "gave") ",gen_ai_token_type=\"output\"} 7\n");
    assert_has("gen_ai_client_token_usage_sum{" LABELS(
        "asked", "gave") ",gen_ai_token_type=\"cached_input\"} 3\n");
}

static void test_record__tells_the_latencies_of_a_stream(void **state) {
    (void)state;
    send_request("{\"model\":\"asked\",\"stream\":true}");
    send_reply_headers("200", "text/event-stream");
    after_ms(30);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "data: {\"model\":\"gave\"}\n\n", false);
    after_ms(400);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY,
                    "data: {\"usage\":{\"completion_tokens\":5}}\n\ndata: [DONE]\n\n", false);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "", true);
    DURATION_IS(LABELS("asked", "gave"), "0.430000000");
    assert_has(
        "gen_ai_server_time_to_first_token_seconds_sum{" LABELS("asked", "gave") "} 0.030000000\n");
    assert_has("gen_ai_server_time_per_output_token_seconds_sum{" LABELS("asked",
                                                                         "gave") "} 0.100000000\n");
}

static void test_record__tells_of_refusals(void **state) {
    (void)state;
    send_request("{\"broken");
    after_ms(1000);
    process_stream_close(envoy.stream, envoy.now_ns);
    DURATION_IS(LABELS("unknown", "unknown") ",error_type=\"malformed_json\"", "0.000000000");
    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.metrics.genai = &genai;
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, true, ":path", "/v1/embeddings", ":method",
                       "POST", NULL);
    assert_has("gen_ai_operation_name=\"embeddings\"");
    assert_has(",error_type=\"body_missing\"");
}

static void test_record__tells_of_bad_replies_when_their_status_is_known(void **state) {
    (void)state;
    send_request(ASKED);
    after_ms(20);
    send_reply_headers("503", "application/json");
    after_ms(500);
    process_stream_close(envoy.stream, envoy.now_ns);
    DURATION_IS(LABELS("other", "other") ",error_type=\"503\"", "0.020000000");
}

static void test_record__tells_of_replies_without_a_status(void **state) {
    (void)state;
    send_request(ASKED);
    envoy_send_headers(&envoy, ENVOY_RESPONSE_HEADERS, false, "x", "y", NULL);
    DURATION_IS(LABELS("other", "other") ",error_type=\"_OTHER\"", "0.000000000");
}

static void test_record__tells_of_who_left_early(void **state) {
    (void)state;
    send_request(ASKED);
    after_ms(10);
    process_stream_close(envoy.stream, envoy.now_ns);
    DURATION_IS(LABELS("other", "other") ",error_type=\"cut\"", "0.010000000");
    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.metrics.genai = &genai;
    send_request(ASKED);
    send_reply_headers("200", "text/event-stream");
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "data: {}\n\n", false);
    process_stream_close(envoy.stream, envoy.now_ns);
    assert_has("gen_ai_server_request_duration_seconds_count{" LABELS(
        "other", "other") ",error_type=\"cut\"} 2\n");
}

// A reply that is not read ends with the stream.
static void test_record__tells_of_replies_that_are_not_read(void **state) {
    (void)state;
    send_request(ASKED);
    send_reply_headers("200", "audio/mpeg");
    after_ms(40);
    process_stream_close(envoy.stream, envoy.now_ns);
    DURATION_IS(LABELS("asked", "unknown"), "0.040000000");
}

static void test_record__tells_nothing_of_what_is_not_ours(void **state) {
    (void)state;
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, true, ":path", "/elsewhere", ":method", "GET",
                       NULL);
    process_stream_close(envoy.stream, envoy.now_ns);
    assert_int_equal(catalogue.count, 0);
}

// docs/metrics.md says so: what is turned away unread has no operation.
static void test_record__what_is_turned_away_unread_is_counted_elsewhere(void **state) {
    (void)state;
    struct buffer answer = {0};
    process_turn_away(&envoy.options, &envoy.metrics, &answer);
    buffer_done(&answer);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_OVERLOADED), 1);
    assert_int_equal(catalogue.count, 0);
}
