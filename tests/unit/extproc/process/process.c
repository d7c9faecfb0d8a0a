// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/process.c"

#include <stdio.h>

#include "extproc/budget.h"
#include "extproc/process/models.h"

#include "tests/unit/extproc/process/envoy.h"

static struct envoy envoy;

static int setup(void **state) {
    (void)state;
    envoy_start(&envoy);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    envoy_stop(&envoy);
    return 0;
}

#define CHAT "/v1/chat/completions"
#define GOOD_BODY "{\"model\":\"m-1\",\"messages\":[]}"

static void send_post(const char *path) {
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":authority", "h", ":path", path,
                       ":method", "POST", "content-type", "application/json", NULL);
}

// The answer to the headers of a request whose body comes whole: nothing of it is changed, and the
// reply, of which nothing is known yet, shall come in pieces.
static void assert_awaits_body(void) {
    const ExtProc__CommonResponse *common = envoy_common(&envoy, 1);
    assert_null(common->header_mutation);
    assert_false(common->clear_route_cache);
    const ExtProc__ProcessingMode *mode = envoy.answer->mode_override;
    assert_non_null(mode);
    assert_int_equal(mode->request_body_mode, MESSAGE_BODY_BUFFERED);
    assert_int_equal(mode->response_body_mode, MESSAGE_BODY_STREAMED);
    assert_int_equal(mode->response_trailer_mode, 1);
}

// A request of ours that went well up to the reply.
static void send_good_request(void) {
    send_post(CHAT);
    assert_awaits_body();
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, GOOD_BODY, true);
    envoy_common(&envoy, 3);
}

static void send_reply_headers(const char *status, const char *content_type) {
    envoy_send_headers(&envoy, ENVOY_RESPONSE_HEADERS, false, ":status", status, "content-type",
                       content_type, NULL);
}

static void assert_refused(unsigned status, const char *details, const char *part) {
    assert_true(envoy.verdict.has_answer);
    assert_true(envoy.verdict.ends_stream);
    assert_int_equal(envoy.verdict.grpc_status, 0);
    assert_int_equal(envoy.answer->response_case, 7);
    const ExtProc__ImmediateResponse *immediate = envoy.answer->immediate_response;
    assert_int_equal(immediate->status->code, status);
    assert_true(envoy_is(immediate->details, details));
    assert_int_equal(immediate->headers->n_set_headers, 1);
    assert_true(envoy_is(immediate->headers->set_headers[0]->header->key, "content-type"));
    assert_true(
        envoy_is(immediate->headers->set_headers[0]->header->raw_value, "application/json"));
    if (memmem(immediate->body.data, immediate->body.len, part, strlen(part)) == NULL) {
        fail_msg("%.*s: no \"%s\"", (int)immediate->body.len, (char *)immediate->body.data, part);
    }
    // A message that comes all the same changes nothing.
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "x", true);
    assert_false(envoy.verdict.has_answer);
    assert_true(envoy.verdict.ends_stream);
}

/* requests */

static void test_process__sets_the_model_and_the_path_with_its_query(void **state) {
    (void)state;
    send_post(CHAT "?a=b");
    assert_awaits_body();
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, GOOD_BODY, true);
    const ExtProc__CommonResponse *common = envoy_common(&envoy, 3);
    assert_true(common->clear_route_cache);
    assert_int_equal(common->header_mutation->n_remove_headers, 0);
    assert_int_equal(common->header_mutation->n_set_headers, 2);
    static const char *const want[][2] = {
        {"x-ai-eg-model", "m-1"},
        {"x-ai-eg-original-path", CHAT "?a=b"},
    };
    for (size_t i = 0; i < 2; i++) {
        const ExtProc__HeaderValueOption *option = common->header_mutation->set_headers[i];
        assert_int_equal(option->append_action, 2);
        assert_true(envoy_is(option->header->key, want[i][0]));
        assert_true(envoy_is(option->header->raw_value, want[i][1]));
        assert_int_equal(option->header->value.len, 0);
    }
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_ROUTED), 1);
}

static void assert_own_headers_removed(int case_number) {
    const ExtProc__CommonResponse *common = envoy_common(&envoy, case_number);
    assert_non_null(common->header_mutation);
    assert_int_equal(common->header_mutation->n_set_headers, 0);
    assert_int_equal(common->header_mutation->n_remove_headers, 2);
    assert_true(envoy_is(common->header_mutation->remove_headers[0], "x-ai-eg-model"));
    assert_true(envoy_is(common->header_mutation->remove_headers[1], "x-ai-eg-anything"));
    assert_true(common->clear_route_cache);
}

// Would catch: a client that chooses its backend by sending our header, on any path.
static void test_process__a_clients_own_headers_are_removed_everywhere(void **state) {
    (void)state;
    static const char *const lines[][2] = {
        {"POST", CHAT}, {"POST", "/v1/files"}, {"GET", "/v1/models"}, {"GET", CHAT}, {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, i == 2, ":method", lines[i][0], ":path",
                           lines[i][1], "x-ai-eg-model", "forged", "x-ai-egg", "stays",
                           "x-ai-eg-anything", "", NULL);
        assert_own_headers_removed(1);
    }
}

// What the gateway has its filter behind the router send.
static void test_process__behind_the_router_backend_and_route_are_metadata(void **state) {
    (void)state;
    envoy.backend = "ns/name/route/r/rule/0/ref/1";
    envoy.route = "ns/r";
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":method", "POST", ":path", CHAT,
                       "x-ai-eg-model", "m", NULL);
    assert_null(envoy_common(&envoy, 1)->header_mutation);
    assert_string_equal(envoy_metadata(&envoy, "backend_name"), "ns/name/route/r/rule/0/ref/1");
    assert_string_equal(envoy_metadata(&envoy, "ai_service_backend_name"), "ns/name");
    assert_string_equal(envoy_metadata(&envoy, "route_name"), "ns/r");
    assert_string_equal(envoy_metadata(&envoy, "model_name_override"), "m");
    assert_int_equal(envoy_metric(&envoy, METRIC_UPSTREAM_KNOWN), 1);
}

// Would catch: an answer that Envoy cannot read, because a header is no UTF-8.
static void test_process__behind_the_router_what_is_not_known_is_left_out(void **state) {
    (void)state;
    envoy.is_upstream = true;
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":method", "POST", "x-ai-eg-model",
                       "\xff", NULL);
    envoy_assert_plain(&envoy, 1);
    assert_int_equal(envoy_metric(&envoy, METRIC_UPSTREAM_UNKNOWN), 1);
    assert_int_equal(envoy_metric(&envoy, METRIC_UPSTREAM_KNOWN), 0);
}

static void test_process__the_filter_behind_the_router_keeps_our_headers(void **state) {
    (void)state;
    envoy.is_upstream = true;
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":method", "POST", ":path", CHAT,
                       "x-ai-eg-model", "m", NULL);
    assert_null(envoy_common(&envoy, 1)->header_mutation);
    assert_string_equal(envoy_metadata(&envoy, "model_name_override"), "m");
    assert_string_equal(envoy_metadata(&envoy, "backend_name"), "");
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "not JSON", true);
    envoy_assert_plain(&envoy, 3);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_PASSED), 0);
}

static void test_process__other_requests_pass_and_need_no_bodies(void **state) {
    (void)state;
    send_post("/v1/audio/speech");
    const ExtProc__CommonResponse *common = envoy_common(&envoy, 1);
    assert_null(common->header_mutation);
    assert_false(common->clear_route_cache);
    assert_non_null(envoy.answer->mode_override);
    assert_int_equal(envoy.answer->mode_override->response_body_mode, MESSAGE_BODY_NONE);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_PASSED), 1);
    // A filter that may not be overridden sends them all the same.
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "not JSON", true);
    envoy_assert_plain(&envoy, 3);
    send_reply_headers("200", "application/json");
    envoy_assert_plain(&envoy, 2);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "{\"usage\":{\"total_tokens\":1}}", true);
    envoy_assert_plain(&envoy, 4);
}

static void test_process__bad_bodies_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *body, *details, *part;
        enum metric metric;
    } cases[] = {
        {"{", "extproc_malformed_json", "\"param\":null", METRIC_REQUESTS_MALFORMED},
        {"[]", "extproc_malformed_json", "not an array", METRIC_REQUESTS_MALFORMED},
        {"{}", "extproc_model_missing", "\"param\":\"model\"", METRIC_REQUESTS_MODEL_MISSING},
        {"{\"model\":1}", "extproc_model_invalid", "must be a string",
         METRIC_REQUESTS_MODEL_INVALID},
        {"{\"model\":\"a\",\"model\":\"b\"}", "extproc_model_duplicate", "more than once",
         METRIC_REQUESTS_MODEL_DUPLICATE},
        {"", "extproc_body_missing", "has no body", METRIC_REQUESTS_BODY_MISSING},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        send_post(CHAT);
        envoy_send_body(&envoy, ENVOY_REQUEST_BODY, cases[i].body, true);
        assert_refused(400, cases[i].details, cases[i].part);
        assert_int_equal(envoy_metric(&envoy, cases[i].metric), 1);
        assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_ROUTED), 0);
    }
}

static void test_process__a_post_without_a_body_is_refused(void **state) {
    (void)state;
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, true, ":method", "POST", ":path", CHAT, NULL);
    assert_refused(400, "extproc_body_missing", "has no body");
}

static void test_process__a_body_over_the_limit_is_refused(void **state) {
    (void)state;
    char body[10002];
    memset(body, ' ', sizeof(body));
    memcpy(body, "{\"model\":\"m\"}", 13);
    send_post(CHAT);
    envoy_send_bytes(&envoy, ENVOY_REQUEST_BODY, body, 10001, true);
    assert_refused(413, "extproc_body_too_large", "larger than 10000 bytes");
    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_post(CHAT);
    envoy_send_bytes(&envoy, ENVOY_REQUEST_BODY, body, 10000, true);
    envoy_common(&envoy, 3);
}

static void test_process__a_content_length_over_the_limit_is_refused_at_once(void **state) {
    (void)state;
    static const struct {
        const char *length;
        bool is_refused;
    } cases[] = {
        {"10001", true},  {"18446744073709551621", true},
        {"10000", false}, {"", false},
        {"1x", false},    {"-20000", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":method", "POST", ":path", CHAT,
                           "content-length", cases[i].length, NULL);
        if (cases[i].is_refused) {
            assert_refused(413, "extproc_body_too_large", "10000 bytes");
        } else {
            assert_awaits_body();
        }
    }
}

// Would catch: an error about JSON, of which the client sees nothing wrong.
static void test_process__a_compressed_body_is_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *coding, *message;
    } cases[] = {
        {"gzip", "content-encoding: gzip;"},
        {"Zstd", "content-encoding: zstd;"},
        {"", NULL},
        {"identity", NULL},
        {"utf-8", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":method", "POST", ":path", CHAT,
                           "content-encoding", cases[i].coding, NULL);
        if (cases[i].message != NULL) {
            assert_refused(415, "extproc_body_encoded", cases[i].message);
            assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_BODY_ENCODED), 1);
        } else {
            assert_awaits_body();
        }
    }
}

static void test_process__a_request_in_pieces_is_refused_unless_that_is_all(void **state) {
    (void)state;
    ExtProc__ProtocolConfiguration modes = EXT_PROC__PROTOCOL_CONFIGURATION__INIT;
    modes.request_body_mode = MESSAGE_BODY_STREAMED;
    envoy.modes = &modes;
    send_post(CHAT);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "{\"model\":\"m\",", false);
    assert_refused(500, "extproc_body_not_buffered", "must be BUFFERED");
    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.modes = &modes;
    send_post(CHAT);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, GOOD_BODY, false);
    assert_int_equal(envoy_common(&envoy, 3)->header_mutation->n_set_headers, 2);
    // With trailers behind it a buffered body has no end_of_stream either.
    envoy_stop(&envoy);
    envoy_start(&envoy);
    modes.request_body_mode = MESSAGE_BODY_BUFFERED;
    envoy.modes = &modes;
    send_post(CHAT);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, GOOD_BODY, false);
    assert_int_equal(envoy_common(&envoy, 3)->header_mutation->n_set_headers, 2);
    envoy_send_trailers(&envoy, ENVOY_REQUEST_TRAILERS);
    assert_int_equal(envoy.answer->response_case, 5);
}

static void send_modes(ExtProc__ProtocolConfiguration *modes, uint32_t request, uint32_t response,
                       bool sends_early) {
    ext_proc__protocol_configuration__init(modes);
    modes->request_body_mode = request;
    modes->response_body_mode = response;
    modes->send_body_without_waiting_for_header_response = sends_early;
    envoy.modes = modes;
}

// Would catch: a route chosen before the model is known, where the body comes too late for it.
static void test_process__a_body_that_would_come_too_late_is_asked_for_whole(void **state) {
    (void)state;
    static const uint32_t request_modes[] = {MESSAGE_BODY_NONE, MESSAGE_BODY_STREAMED,
                                             MESSAGE_BODY_BUFFERED_PARTIAL, 5};
    for (size_t i = 0; i < COUNT_OF(request_modes); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        ExtProc__ProtocolConfiguration modes;
        send_modes(&modes, request_modes[i], MESSAGE_BODY_STREAMED, false);
        send_post(CHAT);
        envoy_common(&envoy, 1);
        const ExtProc__ProcessingMode *mode = envoy.answer->mode_override;
        assert_non_null(mode);
        assert_int_equal(mode->request_body_mode, MESSAGE_BODY_BUFFERED);
        assert_int_equal(mode->response_body_mode, MESSAGE_BODY_STREAMED);
        envoy_send_body(&envoy, ENVOY_REQUEST_BODY, GOOD_BODY, true);
        assert_int_equal(envoy_common(&envoy, 3)->header_mutation->n_set_headers, 2);
    }
}

/* bodies that come before their headers are answered */

enum { DUPLEX = MESSAGE_BODY_FULL_DUPLEX, STREAMED = MESSAGE_BODY_STREAMED };

static void send_early_post(uint32_t mode) {
    ExtProc__ProtocolConfiguration modes;
    send_modes(&modes, mode, mode, mode == STREAMED);
    send_post(CHAT "?q");
    assert_false(envoy.verdict.has_answer);
    assert_false(envoy.verdict.ends_stream);
}

static void send_piece(const char *text, bool is_last) {
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, text, is_last);
}

// The answer to the headers, and that more follows.
static const ExtProc__HeaderMutation *assert_headers_answered(const char *model) {
    const ExtProc__CommonResponse *common = envoy_common(&envoy, 1);
    assert_true(envoy.verdict.has_more);
    assert_true(common->clear_route_cache);
    assert_true(common->header_mutation->n_set_headers >= 2);
    assert_true(envoy_is(common->header_mutation->set_headers[0]->header->raw_value, model));
    assert_true(envoy_is(common->header_mutation->set_headers[1]->header->raw_value, CHAT "?q"));
    return common->header_mutation;
}

static void assert_passed(int case_number, const char *want, bool is_last) {
    const ExtProc__CommonResponse *common = envoy_common(&envoy, case_number);
    assert_non_null(common->body_mutation);
    assert_int_equal(common->body_mutation->mutation_case,
                     EXT_PROC__BODY_MUTATION__MUTATION_STREAMED_RESPONSE);
    assert_true(envoy_is(common->body_mutation->streamed_response->body, want));
    assert_int_equal(common->body_mutation->streamed_response->end_of_stream, is_last);
}

// Would catch: an answer that waits for the whole body, or a piece lost, doubled or out of order.
static void test_process__duplex_bodies_pass_from_the_model_on(void **state) {
    (void)state;
    send_early_post(DUPLEX);
    send_piece("{\"x\":[1,2],\"mod", false);
    assert_false(envoy.verdict.has_answer);
    assert_string_equal(process_stream_state(envoy.stream), "awaiting request body");
    send_piece("el\":\"m-1\",\"messa", false);
    assert_int_equal(assert_headers_answered("m-1")->n_remove_headers, 0);
    envoy_send_more(&envoy);
    assert_passed(3, "{\"x\":[1,2],\"model\":\"m-1\",\"messa", false);
    assert_false(envoy.verdict.has_more);
    send_piece("ges\":[]}", false);
    assert_passed(3, "ges\":[]}", false);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_ROUTED), 0);
    send_piece("", true);
    assert_passed(3, "", true);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_ROUTED), 1);
    assert_string_equal(process_stream_state(envoy.stream), "awaiting response headers");
}

static void test_process__duplex_bodies_may_end_by_trailers(void **state) {
    (void)state;
    send_early_post(DUPLEX);
    send_piece(GOOD_BODY, false);
    assert_headers_answered("m-1");
    envoy_send_more(&envoy);
    envoy_send_trailers(&envoy, ENVOY_REQUEST_TRAILERS);
    assert_int_equal(envoy.answer->response_case, 5);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_ROUTED), 1);
    // And without a model.
    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_early_post(DUPLEX);
    send_piece("{\"messages\":[]", false);
    envoy_send_trailers(&envoy, ENVOY_REQUEST_TRAILERS);
    assert_refused(400, "extproc_malformed_json", "too early");
    // With the last bracket it is known that there will be none.
    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_early_post(STREAMED);
    send_piece("{\"messages\":[]}", false);
    assert_refused(400, "extproc_model_missing", "'model'");
}

static void test_process__a_duplex_reply_and_others_requests_pass_piece_by_piece(void **state) {
    (void)state;
    ExtProc__ProtocolConfiguration modes;
    send_modes(&modes, DUPLEX, DUPLEX, false);
    send_post("/v1/files");
    envoy_assert_plain(&envoy, 1);  // an override would be ignored
    send_piece("any", false);
    assert_passed(3, "any", false);
    send_piece("thing", true);
    assert_passed(3, "thing", true);
    send_reply_headers("200", "text/plain");
    envoy_assert_plain(&envoy, 2);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "reply", true);
    assert_passed(4, "reply", true);

    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_early_post(DUPLEX);
    send_piece(GOOD_BODY, true);
    envoy_send_more(&envoy);
    assert_passed(3, GOOD_BODY, true);
    send_reply_headers("200", "application/json");
    envoy_assert_plain(&envoy, 2);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "{\"usage\":{\"total_tok", false);
    assert_passed(4, "{\"usage\":{\"total_tok", false);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "ens\":5}}", false);
    assert_passed(4, "ens\":5}}", false);
    envoy_assert_usage(&envoy, "", "", "", "5", "");
    envoy_send_trailers(&envoy, ENVOY_RESPONSE_TRAILERS);
    assert_int_equal(envoy.answer->response_case, 6);
}

// An override that Envoy ignores must not be counted on.
static void test_process__modes_are_overridden_only_where_envoy_obeys(void **state) {
    (void)state;
    static const struct {
        uint32_t request, response;
        bool sends_early, is_obeyed;
    } cases[] = {
        {MESSAGE_BODY_BUFFERED, MESSAGE_BODY_BUFFERED, false, true},
        {STREAMED, STREAMED, false, true},
        {STREAMED, MESSAGE_BODY_BUFFERED, true, false},
        {MESSAGE_BODY_BUFFERED, DUPLEX, false, false},
        {DUPLEX, MESSAGE_BODY_BUFFERED, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        ExtProc__ProtocolConfiguration modes;
        send_modes(&modes, cases[i].request, cases[i].response, cases[i].sends_early);
        send_post("/v1/files");
        assert_int_equal(envoy.answer->mode_override != NULL, cases[i].is_obeyed);
    }
}

// Would catch: good replies that are counted as cut because their body, which never comes, is
// awaited.
static void test_process__a_reply_whose_body_is_not_sent_is_not_awaited(void **state) {
    (void)state;
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    assert_non_null(metrics);
    process_stream_free(envoy.stream);
    envoy.stream = process_stream_new(&envoy.options, metrics, &envoy.arena);
    ExtProc__ProtocolConfiguration modes;
    send_modes(&modes, DUPLEX, MESSAGE_BODY_NONE, false);
    send_post(CHAT);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "{\"model\":\"m\"}", true);
    send_reply_headers("200", "application/json");
    assert_null(envoy.answer->mode_override);
    process_stream_close(envoy.stream, 0);
    process_stream_free(envoy.stream);
    envoy.stream = NULL;
    assert_int_equal(metrics_read(metrics, METRIC_RESPONSES_CUT), 0);
    free(metrics);
}

// Would catch: a second model that reaches the backend because the first has passed.
static void test_process__what_is_wrong_later_is_refused_then(void **state) {
    (void)state;
    static const struct {
        const char *piece, *details;
    } bad[] = {
        {",\"model\":\"m-2\"}", "extproc_model_duplicate"},
        {",]", "extproc_malformed_json"},
        {",\"x\":1", "extproc_malformed_json"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        send_early_post(i == 0 ? STREAMED : DUPLEX);
        send_piece("{\"model\":\"m-1\"", false);
        envoy_send_more(&envoy);
        send_piece(bad[i].piece, true);
        assert_refused(400, bad[i].details, "error");
    }
    // When the reply has begun, the client cannot be told any more.
    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_early_post(DUPLEX);
    send_piece("{\"model\":\"m-1\"", false);
    envoy_send_more(&envoy);
    send_reply_headers("200", "text/plain");
    send_piece("x", true);
    assert_false(envoy.verdict.has_answer);
    assert_int_equal(envoy.verdict.grpc_status, GRPC_INVALID_ARGUMENT);
}

static void test_process__pieces_over_the_limit_are_refused(void **state) {
    (void)state;
    char text[4001];
    memset(text, ' ', sizeof(text));
    text[4000] = '\0';
    for (int is_early = 0; is_early < 2; is_early++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        send_early_post(DUPLEX);
        if (is_early) {
            send_piece(GOOD_BODY, false);
            envoy_send_more(&envoy);
        }
        send_piece(text, false);
        send_piece(text, false);
        send_piece(text, false);
        assert_refused(413, "extproc_body_too_large", "larger than 10000 bytes");
    }
}

// Would catch: bodies that are held without being counted, or counted for ever.
static void test_process__held_bodies_are_taken_from_the_budget(void **state) {
    (void)state;
    struct budget budget = {.most = 20};
    envoy.options.budget = &budget;
    send_early_post(DUPLEX);
    send_piece("{\"a\":1,", false);
    assert_int_equal(budget.used, 7);
    send_piece("\"model\":\"m\"", false);
    assert_int_equal(budget.used, 18);
    envoy_send_more(&envoy);
    assert_int_equal(budget.used, 0);

    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.options.budget = &budget;
    send_early_post(DUPLEX);
    send_piece("{\"a\":1,", false);
    send_piece("\"b\":2,\"c\":3,\"d\":4", false);
    assert_refused(503, "extproc_overloaded", "too many");
    process_stream_free(envoy.stream);
    envoy.stream = NULL;
    assert_int_equal(budget.used, 0);
    envoy.options.budget = NULL;
}

static void test_process__a_clients_own_headers_are_removed_later_too(void **state) {
    (void)state;
    ExtProc__ProtocolConfiguration modes;
    send_modes(&modes, DUPLEX, DUPLEX, false);
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, false, ":method", "POST", ":path", CHAT "?q",
                       "x-ai-eg-model", "forged", "x-ai-egg", "stays", "x-ai-eg-anything", "",
                       NULL);
    send_piece(GOOD_BODY, true);
    const ExtProc__HeaderMutation *mutation = assert_headers_answered("m-1");
    assert_int_equal(mutation->n_remove_headers, 2);
    assert_true(envoy_is(mutation->remove_headers[0], "x-ai-eg-model"));
    assert_true(envoy_is(mutation->remove_headers[1], "x-ai-eg-anything"));
}

static void assert_piece(const char *want) {
    const ExtProc__CommonResponse *common = envoy_common(&envoy, 3);
    if (want == NULL) {
        assert_null(common->body_mutation);
        return;
    }
    assert_int_equal(common->body_mutation->mutation_case, EXT_PROC__BODY_MUTATION__MUTATION_BODY);
    assert_true(envoy_is(common->body_mutation->body, want));
}

// Each piece is owed one answer: Envoy counts.
static void test_process__streamed_bodies_are_answered_piece_by_piece(void **state) {
    (void)state;
    send_early_post(STREAMED);
    send_piece("{\"x\":1,", false);
    send_piece("\"y\":2,", false);
    assert_false(envoy.verdict.has_answer);
    send_piece("\"model\":\"m-1\",", false);
    assert_headers_answered("m-1");
    envoy_send_more(&envoy);
    assert_piece("");
    assert_true(envoy.verdict.has_more);
    envoy_send_more(&envoy);
    assert_piece("");
    envoy_send_more(&envoy);
    assert_piece("{\"x\":1,\"y\":2,\"model\":\"m-1\",");
    assert_false(envoy.verdict.has_more);
    send_piece("\"z\":3}", true);
    assert_piece(NULL);
}

static void test_process__a_single_streamed_piece_stays_as_it_is(void **state) {
    (void)state;
    send_early_post(STREAMED);
    send_piece(GOOD_BODY, true);
    assert_int_equal(assert_headers_answered("m-1")->n_set_headers, 2);
    envoy_send_more(&envoy);
    assert_piece(NULL);
    assert_false(envoy.verdict.has_more);
}

/* asking for the usage */

#define STREAM_BODY "{\"model\":\"m-1\",\"stream\":true}"
#define STREAM_BODY_ASKING                                                                         \
    "{\"model\":\"m-1\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"

static void test_process__a_whole_body_is_changed_with_its_length(void **state) {
    (void)state;
    envoy.options.asks_for_usage = true;
    send_post(CHAT);
    send_piece(STREAM_BODY, true);
    assert_piece(STREAM_BODY_ASKING);
    const ExtProc__HeaderMutation *mutation = envoy_common(&envoy, 3)->header_mutation;
    assert_int_equal(mutation->n_set_headers, 3);
    assert_true(envoy_is(mutation->set_headers[2]->header->key, "content-length"));
    char length[16];
    snprintf(length, sizeof(length), "%zu", strlen(STREAM_BODY_ASKING));
    assert_true(envoy_is(mutation->set_headers[2]->header->raw_value, length));
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_USAGE_ASKED), 1);
}

static void test_process__bodies_are_changed_only_where_that_makes_sense(void **state) {
    (void)state;
    static const struct {
        const char *path, *body;
        bool asks;
    } cases[] = {
        {CHAT, STREAM_BODY, false},
        {CHAT, GOOD_BODY, true},
        {CHAT, STREAM_BODY_ASKING, true},
        {"/v1/responses", STREAM_BODY, true},
        {"/v1/embeddings", STREAM_BODY, true},
        {CHAT, "{\"model\":\"m\",\"stream_options\":{}}", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        envoy.options.asks_for_usage = cases[i].asks;
        send_post(cases[i].path);
        send_piece(cases[i].body, true);
        assert_piece(NULL);
        assert_int_equal(envoy_common(&envoy, 3)->header_mutation->n_set_headers, 2);
        assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_USAGE_ASKED), 0);
    }
}

static void test_process__pieces_are_changed_where_they_are(void **state) {
    (void)state;
    envoy.options.asks_for_usage = true;
    send_early_post(DUPLEX);
    send_piece("{\"model\":\"m-1\",", false);
    assert_int_equal(assert_headers_answered("m-1")->n_remove_headers, 0);
    envoy_send_more(&envoy);
    assert_passed(3, "{\"model\":\"m-1\",", false);
    send_piece("\"stream\":true", false);
    assert_passed(3, "\"stream\":true", false);
    send_piece(" } ", true);
    assert_passed(3, " ,\"stream_options\":{\"include_usage\":true}} ", true);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_USAGE_ASKED), 1);

    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.options.asks_for_usage = true;
    send_early_post(STREAMED);
    send_piece("{\"stream_options\":{},", false);
    send_piece("\"model\":\"m-1\",", false);
    // The length is not known when the headers go.
    const ExtProc__HeaderMutation *mutation = assert_headers_answered("m-1");
    assert_int_equal(mutation->n_remove_headers, 1);
    assert_true(envoy_is(mutation->remove_headers[0], "content-length"));
    envoy_send_more(&envoy);
    assert_piece("");
    envoy_send_more(&envoy);
    // What is behind the place of the change waits until it is known to be one.
    assert_piece("{\"stream_options\":{");
    send_piece("\"x\":1,", false);
    assert_piece("");
    send_piece("\"stream\":true", false);
    assert_piece("\"include_usage\":true},\"model\":\"m-1\",\"x\":1,\"stream\":true");
    send_piece("}", true);
    assert_piece(NULL);

    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.options.asks_for_usage = true;
    send_early_post(STREAMED);
    send_piece(STREAM_BODY, true);
    assert_int_equal(assert_headers_answered("m-1")->n_set_headers, 3);
    envoy_send_more(&envoy);
    assert_piece(STREAM_BODY_ASKING);
}

/* models */

static void ask_for_models(const char *method, const char *path) {
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, true, ":path", path, ":method", method, NULL);
}

static void test_process__answers_with_the_models_where_there_are_some(void **state) {
    (void)state;
    struct models models = MODELS_INIT;
    char message[MODELS_MESSAGE_BYTES];
    assert_int_equal(models_set(&models, BYTES_LITERAL("m-1"), 7, message), STATUS_OK);
    ask_for_models("GET", "/v1/models");
    envoy_common(&envoy, 1);  // there are none: it passes
    const char *paths[] = {"/v1/models", "/v1/models?limit=5"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        envoy.options.models = &models;
        ask_for_models("GET", paths[i]);
        assert_refused(200, "extproc_models", "\"id\":\"m-1\"");
        assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_MODELS), 1);
    }
    const char *others[][2] = {{"POST", "/v1/models"}, {"GET", "/v1/models/m-1"}};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        envoy.options.models = &models;
        ask_for_models(others[i][0], others[i][1]);
        envoy_common(&envoy, 1);
    }
    models_done(&models);
}

// The whole of what passes of a piece, with all that is said to it.
static void take_passed(struct buffer *passed, struct bytes piece) {
    for (;;) {
        bool has_body = envoy.verdict.has_answer && envoy.answer->response_case == 3;
        ExtProc__BodyMutation *change = has_body ? envoy_common(&envoy, 3)->body_mutation : NULL;
        if (has_body && change == NULL) {
            assert_int_equal(buffer_append(passed, piece), STATUS_OK);
        } else if (change != NULL) {
            bool is_streamed = change->mutation_case ==
                               EXT_PROC__BODY_MUTATION__MUTATION_STREAMED_RESPONSE;
            ProtobufCBinaryData body = is_streamed ? change->streamed_response->body : change->body;
            assert_int_equal(buffer_append(passed, bytes_of(body.data, body.len)), STATUS_OK);
        }
        if (!envoy.verdict.has_more) return;
        envoy_send_more(&envoy);
    }
}

// Sends the body with cuts behind every `step` bytes from `first` on.
static void send_cut(const char *body, uint32_t mode, size_t first, size_t step,
                     struct buffer *passed) {
    struct budget budget = {.most = 1000};
    size_t length = strlen(body), start = 0;
    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.options.asks_for_usage = true;
    envoy.options.budget = &budget;
    send_early_post(mode);
    for (size_t size = first; start < length; start += size, size = step) {
        if (size > length - start) size = length - start;
        envoy_send_bytes(&envoy, ENVOY_REQUEST_BODY, body + start, size, start + size == length);
        take_passed(passed, bytes_of(body + start, size));
    }
    assert_int_equal(budget.used, 0);
    envoy.options.budget = NULL;
}

#define ASKS "\"include_usage\":true"

// Would catch: a request that does not ask, because its word was cut by the end of a piece; one
// that is no stream and gets options, which backends refuse; a word lost beside another change.
static void test_process__a_body_is_changed_alike_wherever_it_is_cut(void **state) {
    (void)state;
    static const char *const bodies[][2] = {
        {"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":false}}",
         "{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "}}"},
        {"{\"stream_options\":{\"include_usage\":null,\"x\":false},\"model\":\"m\",\"stream\":true}",
         "{\"stream_options\":{" ASKS ",\"x\":false},\"model\":\"m\",\"stream\":true}"},
        {"{\"model\":\"m\",\"stream\":true,\"stream_options\":null}",
         "{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "}}"},
        {"{\"model\":\"m\",\"stream_options\":null,\"stream\":true}",
         "{\"model\":\"m\",\"stream_options\":{" ASKS "},\"stream\":true}"},
        {"{\"stream_options\":{},\"x\":[],\"stream\":true,\"model\":\"m\"}",
         "{\"stream_options\":{" ASKS "},\"x\":[],\"stream\":true,\"model\":\"m\"}"},
        {"{\"model\":\"m\",\"stream\":true}",
         "{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "}}"},
        {"{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "}}", NULL},
        {"{\"model\":\"m\",\"stream\":false,\"stream_options\":null}", NULL},
        {"{\"model\":\"m\",\"stream_options\":null,\"stream\":false} ", NULL},
        {"{\"stream_options\":null,\"x\":true,\"model\":\"m\"}", NULL},
        {"{\"model\":\"m\",\"stream_options\":{},\"stream\":null}", NULL},
        {"{\"model\":\"m\",\"stream_options\":{\"x\":1},\"x\":{}}", NULL},
        {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":false}}", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(bodies) * 2; i++) {
        const char *body = bodies[i / 2][0];
        const char *want = bodies[i / 2][1] != NULL ? bodies[i / 2][1] : body;
        size_t length = strlen(body);
        for (size_t first = 1; first <= length; first++) {
            struct buffer passed = {0};
            size_t step = first <= 12 ? first : length;
            send_cut(body, i % 2 == 0 ? DUPLEX : STREAMED, first, step, &passed);
            assert_int_equal(passed.len, strlen(want));
            assert_memory_equal(passed.data, want, passed.len);
            assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_USAGE_ASKED),
                             strcmp(body, want) != 0);
            buffer_done(&passed);
        }
    }
}

// Keys that are there twice make no sense, but what comes of them is JSON still.
static void test_process__a_cut_word_stays_beside_another_change(void **state) {
    (void)state;
    static const char body[] = "{\"model\":\"m\",\"stream\":true,\"stream_options\":{"
                               "\"include_usage\":true,\"include_usage\":false}}";
    struct buffer passed = {0};
    send_cut(body, DUPLEX, (size_t)(strstr(body, "ue,\"inc") - body), sizeof(body), &passed);
    assert_true(bytes_equal(
        buffer_bytes(&passed),
        BYTES_LITERAL("{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "," ASKS "}}")));
    buffer_done(&passed);
}

// Would catch: bodies that wait for `stream` without end, and nobody counts them.
static void test_process__what_waits_for_stream_is_taken_from_the_budget(void **state) {
    (void)state;
    struct budget budget = {.most = 30};
    envoy.options.asks_for_usage = true;
    envoy.options.budget = &budget;
    send_early_post(DUPLEX);
    send_piece("{\"model\":\"m\",", false);
    envoy_send_more(&envoy);
    assert_int_equal(budget.used, 0);
    send_piece("\"stream_options\":null,", false);
    assert_passed(3, "\"stream_options\":", false);
    assert_int_equal(budget.used, strlen("null,"));
    send_piece("\"a\":1,", false);
    assert_passed(3, "", false);
    assert_int_equal(budget.used, strlen("null,\"a\":1,"));
    send_piece("\"b\":[1,2,3,4,5,6,7,8],", false);
    assert_refused(503, "extproc_overloaded", "too many");
    assert_int_equal(budget.used, 0);
    envoy.options.budget = NULL;
}

/* messages that are too long, wrong or out of order */

static void test_process__too_long_messages_are_decided_by_what_is_awaited(void **state) {
    (void)state;
    envoy_send_uncollected(&envoy, PROCESS_TOO_LARGE);  // headers: they must not pass unchecked
    assert_false(envoy.verdict.has_answer);
    assert_true(envoy.verdict.ends_stream);
    assert_int_equal(envoy.verdict.grpc_status, GRPC_RESOURCE_EXHAUSTED);

    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_post(CHAT);
    envoy_send_uncollected(&envoy, PROCESS_TOO_LARGE);
    assert_refused(413, "extproc_body_too_large", "10000");

    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_post("/v1/files");
    envoy_send_uncollected(&envoy, PROCESS_TOO_LARGE);  // not ours: goes on without us
    assert_true(envoy.verdict.ends_stream);
    assert_int_equal(envoy.verdict.grpc_status, GRPC_OK);

    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_good_request();
    send_reply_headers("200", "application/json");
    envoy_send_uncollected(&envoy, PROCESS_TOO_LARGE);
    assert_false(envoy.verdict.has_answer);
    assert_true(envoy.verdict.ends_stream);
    assert_int_equal(envoy.verdict.grpc_status, GRPC_OK);
    assert_int_equal(envoy_metric(&envoy, METRIC_RESPONSES_UNREADABLE), 1);
}

static void test_process__overload_refuses_requests_and_lets_replies_pass(void **state) {
    (void)state;
    envoy_send_uncollected(&envoy, PROCESS_OVERLOADED);
    assert_refused(503, "extproc_overloaded", "try again");

    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_post(CHAT);
    envoy_send_uncollected(&envoy, PROCESS_OVERLOADED);
    assert_refused(503, "extproc_overloaded", "try again");
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_OVERLOADED), 1);

    envoy_stop(&envoy);
    envoy_start(&envoy);
    send_good_request();
    send_reply_headers("200", "application/json");
    envoy_send_uncollected(&envoy, PROCESS_OVERLOADED);
    assert_false(envoy.verdict.has_answer);
    assert_int_equal(envoy.verdict.grpc_status, GRPC_OK);
}

// Of what it has handed over in the mode FULL_DUPLEX_STREAMED Envoy keeps nothing: a good end would
// lose it, and nobody would see that.
static void test_process__what_would_be_lost_is_owed_and_cut_loudly(void **state) {
    (void)state;
    static const struct {
        uint32_t request, response;
        const char *path;
        bool is_owed_before, is_owed_behind;  // the end of the request
    } cases[] = {
        {DUPLEX, DUPLEX, "/v1/files", true, true},
        {DUPLEX, DUPLEX, CHAT, false, true},  // a request that is read can be refused
        {DUPLEX, MESSAGE_BODY_BUFFERED, "/v1/files", true, false},
        {MESSAGE_BODY_BUFFERED, DUPLEX, "/v1/files", true, true},
        {MESSAGE_BODY_BUFFERED, MESSAGE_BODY_BUFFERED, "/v1/files", false, false},
    };
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        ExtProc__ProtocolConfiguration modes;
        send_modes(&modes, cases[i / 2].request, cases[i / 2].response, false);
        send_post(cases[i / 2].path);
        bool is_owed = cases[i / 2].is_owed_before, is_ours = cases[i / 2].path[4] == 'c';
        if (!is_ours) assert_int_equal(envoy.verdict.owes_all, is_owed);
        if (i % 2 == 1) {
            is_owed = cases[i / 2].is_owed_behind;
            send_piece(GOOD_BODY, true);
            if (envoy.verdict.has_more) envoy_send_more(&envoy);
            assert_int_equal(envoy.verdict.owes_all, is_owed);
        }
        envoy_send_uncollected(&envoy, PROCESS_OVERLOADED);
        assert_true(envoy.verdict.ends_stream);
        assert_int_equal(envoy.verdict.grpc_status, is_owed ? GRPC_RESOURCE_EXHAUSTED : GRPC_OK);
        assert_int_equal(envoy.verdict.has_answer, is_ours && i % 2 == 0);  // the 503
        envoy_stop(&envoy);
        envoy_start(&envoy);
    }
}

static void test_process__what_is_no_message_ends_the_stream(void **state) {
    (void)state;
    static const char *const bad[] = {"\xff", "", "\x42\x00"};
    static const size_t lengths[] = {1, 0, 2};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        envoy_take(&envoy, process_stream_receive(envoy.stream, bytes_of(bad[i], lengths[i]), 0,
                                                  &envoy.bytes));
        assert_true(envoy.verdict.ends_stream);
        assert_int_equal(envoy.verdict.grpc_status, GRPC_INVALID_ARGUMENT);
        assert_int_equal(envoy_metric(&envoy, METRIC_MESSAGES_UNDECODABLE), 1);
        send_post(CHAT);  // it stays ended
        assert_true(envoy.verdict.ends_stream);
        assert_false(envoy.verdict.has_answer);
    }
}

static void send_any(int which) {
    if (which == ENVOY_REQUEST_HEADERS) send_post(CHAT);
    if (which == ENVOY_RESPONSE_HEADERS) send_reply_headers("200", "text/event-stream");
    if (which == ENVOY_REQUEST_BODY) envoy_send_body(&envoy, which, GOOD_BODY, true);
    if (which == ENVOY_RESPONSE_BODY) envoy_send_body(&envoy, which, "data: {}\n", false);
    if (which >= ENVOY_REQUEST_TRAILERS) envoy_send_trailers(&envoy, which);
}

// Every sequence of three kinds: an answer of the same kind to each message, never a crash.
static void test_process__any_order_is_answered_in_kind(void **state) {
    (void)state;
    static const int cases[] = {0, 0, 1, 2, 3, 4, 5, 6};
    for (int code = 0; code < 6 * 6 * 6; code++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        for (int rest = code, i = 0; i < 3; i++, rest /= 6) {
            int which = 2 + rest % 6;
            bool awaits_body = envoy.stream->reads_request;
            send_any(which);
            // Trailers where a body is awaited say that there is none.
            bool is_refused = awaits_body && which == ENVOY_REQUEST_TRAILERS;
            assert_int_equal(envoy.verdict.ends_stream, is_refused);
            if (is_refused) break;
            assert_true(envoy.verdict.has_answer);
            assert_int_equal(envoy.answer->response_case, cases[which]);
        }
    }
}

static void test_process__out_of_order_is_counted_and_changes_nothing(void **state) {
    (void)state;
    send_good_request();
    send_post("/v1/files");
    envoy_assert_plain(&envoy, 1);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "not JSON", true);
    envoy_assert_plain(&envoy, 3);
    assert_int_equal(envoy_metric(&envoy, METRIC_MESSAGES_OUT_OF_ORDER), 1);
}

static void test_process__a_filter_that_only_watches_gets_no_answer(void **state) {
    (void)state;
    envoy.is_observed = true;
    send_post(CHAT);
    assert_false(envoy.verdict.has_answer);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "{", true);
    assert_false(envoy.verdict.has_answer);
    assert_false(envoy.verdict.ends_stream);
}

// Would catch: a reply that is taken for whole after its first piece, and counted as unreadable.
static void test_process__a_filter_that_only_watches_counts_what_it_sees(void **state) {
    (void)state;
    envoy.is_observed = true;
    send_post(CHAT);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "{\"model\":", false);
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, "\"m\"}", true);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_ROUTED), 1);
    send_reply_headers("200", "application/json");
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "{\"usage\":{\"total_tok", false);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "ens\":5}}", true);
    assert_false(envoy.verdict.has_answer);
    assert_int_equal(envoy_metric(&envoy, METRIC_RESPONSES_UNREADABLE), 0);
    assert_int_equal(envoy_metric(&envoy, METRIC_TOKENS_TOTAL), 5);
}

// Would catch: a peer that crashes the processor by changing its mind.
static void test_process__the_first_message_says_whether_anybody_waits(void **state) {
    (void)state;
    send_early_post(DUPLEX);
    envoy.is_observed = true;
    send_piece(GOOD_BODY, false);
    assert_headers_answered("m-1");
    envoy_send_more(&envoy);
    envoy_send_trailers(&envoy, ENVOY_REQUEST_TRAILERS);
    assert_int_equal(envoy.answer->response_case, 5);
    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.is_observed = true;
    send_early_post(DUPLEX);
    envoy.is_observed = false;
    send_piece(GOOD_BODY, false);
    assert_false(envoy.verdict.has_answer);
    envoy_send_trailers(&envoy, ENVOY_REQUEST_TRAILERS);
    assert_false(envoy.verdict.has_answer);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_ROUTED), 1);
}

/* replies */

static void test_process__usage_of_a_json_reply_is_metadata(void **state) {
    (void)state;
    send_good_request();
    envoy_send_headers(&envoy, ENVOY_RESPONSE_HEADERS, false, ":status", "200", "content-type",
                       "application/json; charset=utf-8", "content-length", "160", NULL);
    assert_null(envoy_common(&envoy, 2)->header_mutation);
    assert_int_equal(envoy.answer->mode_override->response_body_mode, MESSAGE_BODY_BUFFERED);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY,
                    "{\"model\":\"m-1-x\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,"
                    "\"total_tokens\":18,\"prompt_tokens_details\":{\"cached_tokens\":4}}}",
                    true);
    assert_null(envoy_common(&envoy, 4)->header_mutation);
    envoy_assert_usage(&envoy, "11", "4", "7", "18", "m-1-x");
    assert_int_equal(envoy_metric(&envoy, METRIC_RESPONSES_USAGE), 1);
    assert_int_equal(envoy_metric(&envoy, METRIC_TOKENS_INPUT), 11);
    assert_int_equal(envoy_metric(&envoy, METRIC_TOKENS_CACHED_INPUT), 4);
    assert_int_equal(envoy_metric(&envoy, METRIC_TOKENS_OUTPUT), 7);
    assert_int_equal(envoy_metric(&envoy, METRIC_TOKENS_TOTAL), 18);
}

static void test_process__an_event_stream_is_asked_for_in_pieces(void **state) {
    (void)state;
    send_good_request();
    send_reply_headers("200", "text/event-stream; charset=utf-8");
    envoy_assert_plain(&envoy, 2);  // it was asked for with the request's headers
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "data: {\"model\":\"s\",\"usage\":null}\n\nda",
                    false);
    envoy_assert_plain(&envoy, 4);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY,
                    "ta: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
                    "\"total_tokens\":3}}\r\n\r\ndata: [DONE]\n\n",
                    false);
    envoy_assert_plain(&envoy, 4);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "", true);
    envoy_common(&envoy, 4);
    envoy_assert_usage(&envoy, "1", "", "2", "3", "s");
}

// Would catch: a good reply that Envoy turns into a 500, because it is longer than its buffer.
static void test_process__only_json_that_is_short_is_asked_for_whole(void **state) {
    (void)state;
    static const struct {
        const char *length;
        bool is_short;
    } cases[] = {{"", false},   {"16385", false}, {"99999999999999999999", false},
                 {"1x", false}, {"29", true},     {"16384", true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        send_good_request();
        envoy_send_headers(&envoy, ENVOY_RESPONSE_HEADERS, false, ":status", "200", "content-type",
                           "application/json", "content-length", cases[i].length, NULL);
        envoy_common(&envoy, 2);
        const ExtProc__ProcessingMode *mode = envoy.answer->mode_override;
        assert_int_equal(mode != NULL, cases[i].is_short);
        if (mode != NULL) assert_int_equal(mode->response_body_mode, MESSAGE_BODY_BUFFERED);
        // It may come in pieces all the same: Envoy need not listen.
        envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "{\"usage\":{\"total_tok", false);
        envoy_assert_plain(&envoy, 4);
        envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "ens\":5}}", i % 2 == 0);
        envoy_assert_usage(&envoy, "", "", "", "5", "");
        envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "", true);
        envoy_assert_plain(&envoy, 4);
        assert_int_equal(envoy_metric(&envoy, METRIC_RESPONSES_USAGE), 1);
    }
}

static void test_process__trailers_end_a_reply_too(void **state) {
    (void)state;
    send_good_request();
    send_reply_headers("200", "text/event-stream");
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "data: {\"usage\":{\"total_tokens\":3}}", false);
    envoy_send_trailers(&envoy, ENVOY_RESPONSE_TRAILERS);
    assert_int_equal(envoy.answer->response_case, 6);
    envoy_assert_usage(&envoy, "", "", "", "3", "");
}

static void test_process__replies_that_are_not_read_are_not_collected(void **state) {
    (void)state;
    static const char *const replies[][4] = {
        {"404", "text/plain", "x", "x"},
        {"500", "application/json", "x", "x"},
        {"500", "text/event-stream", "x", "x"},
        {"201", "application/json", "x", "x"},
        {"200", "text/html", "x", "x"},
        {"200", "application/jsonl", "x", "x"},
        {"200", "", "x", "x"},
        {"200", "application/json", "content-encoding", "zstd"},
        {"200", "text/event-stream", "content-encoding", "br"},
    };
    for (size_t i = 0; i < COUNT_OF(replies); i++) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        send_good_request();
        envoy_send_headers(&envoy, ENVOY_RESPONSE_HEADERS, false, ":status", replies[i][0],
                           "content-type", replies[i][1], replies[i][2], replies[i][3], NULL);
        assert_null(envoy_common(&envoy, 2)->header_mutation);
        assert_non_null(envoy.answer->mode_override);
        assert_int_equal(envoy.answer->mode_override->response_body_mode, MESSAGE_BODY_NONE);
        envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "{\"usage\":{\"total_tokens\":1}}", true);
        envoy_assert_plain(&envoy, 4);
        assert_int_equal(envoy_metric(&envoy, METRIC_RESPONSES_PASSED), 1);
        assert_int_equal(envoy_metric(&envoy, METRIC_TOKENS_TOTAL), 0);
    }
}

static void test_process__envoys_own_reply_is_answered(void **state) {
    (void)state;
    send_post(CHAT);
    send_reply_headers("503", "text/plain");
    envoy_common(&envoy, 2);
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "upstream connect error", true);
    envoy_assert_plain(&envoy, 4);
}

static void test_process__a_reply_without_a_body_needs_no_mode(void **state) {
    (void)state;
    send_good_request();
    envoy_send_headers(&envoy, ENVOY_RESPONSE_HEADERS, true, ":status", "204", NULL);
    envoy_assert_plain(&envoy, 2);
}

static void test_process__a_reply_that_is_cut_is_counted(void **state) {
    (void)state;
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    assert_non_null(metrics);
    process_stream_free(envoy.stream);
    envoy.stream = process_stream_new(&envoy.options, metrics, &envoy.arena);
    send_good_request();
    send_reply_headers("200", "text/event-stream");
    envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "data: {\"usage\":{\"total_tokens\":9}}\n", false);
    process_stream_free(envoy.stream);
    envoy.stream = NULL;
    assert_int_equal(metrics_read(metrics, METRIC_RESPONSES_CUT), 1);
    assert_int_equal(metrics_read(metrics, METRIC_TOKENS_TOTAL), 0);
    free(metrics);
}

/* memory */

enum ending { IN_DECODE, ENDED, REFUSED, GOOD, ENDINGS };

// Takes one message with an arena of so many bytes.
static enum ending take_with(size_t bytes, const char *message, size_t length) {
    static _Alignas(16) uint8_t room[16384];
    struct arena arena;
    struct turn turn = {.stream = envoy.stream, .arena = &arena};
    assert_true(bytes <= sizeof(room));
    arena_init(&arena, room, bytes, 0);
    envoy_forget_answer(&envoy);
    enum status status = message_decode(bytes_of(message, length), &arena, &turn.message);
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_NO_MEMORY);
        return IN_DECODE;
    }
    envoy_take(&envoy, take_turn(&turn, &envoy.bytes));
    if (!envoy.verdict.ends_stream) return GOOD;
    if (envoy.verdict.has_answer) return REFUSED;
    assert_int_equal(envoy.verdict.grpc_status, GRPC_RESOURCE_EXHAUSTED);
    return ENDED;
}

// Every allocation fails once. Headers that cannot be checked must not pass.
static void test_process__headers_without_memory_end_the_stream(void **state) {
    (void)state;
    static const char message[] = "\x12\x2d\x0a\x2b"
                                  "\x0a\x10\x0a\x07:method\x1a\x05POST2"
                                  "\x0a\x17\x0a\x0dx-ai-eg-model\x1a\x06"
                                  "forged";
    size_t counts[ENDINGS] = {0};
    for (size_t bytes = 0; bytes < 2048; bytes += 16) {
        envoy_stop(&envoy);
        envoy_start(&envoy);
        counts[take_with(bytes, message, sizeof(message) - 1)]++;
    }
    assert_true(counts[IN_DECODE] > 3 && counts[ENDED] > 0 && counts[GOOD] > 3);
    assert_int_equal(counts[REFUSED], 0);
    assert_int_equal(envoy_common(&envoy, 1)->header_mutation->n_remove_headers, 1);
}

// Would catch: memory that a body takes besides itself.
static void test_process__a_body_needs_no_memory_of_its_own(void **state) {
    (void)state;
    enum { BODY_BYTES = 2000, HEAD_BYTES = 6 };
    static char message[HEAD_BYTES + BODY_BYTES];
    memcpy(message, "\x22\xd3\x0f\x0a\xd0\x0f", HEAD_BYTES);
    memset(message + HEAD_BYTES, ' ', BODY_BYTES);
    memcpy(message + HEAD_BYTES, "{\"model\":\"m\"}", 13);
    send_post(CHAT);
    assert_int_equal(take_with(0, message, sizeof(message)), GOOD);
    assert_int_equal(envoy_common(&envoy, 3)->header_mutation->n_set_headers, 2);
}

static void test_process__an_answer_that_does_not_fit_ends_the_stream(void **state) {
    (void)state;
    envoy.bytes.limit = 3;
    send_post(CHAT);
    assert_false(envoy.verdict.has_answer);
    assert_int_equal(envoy.verdict.grpc_status, GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(envoy_metric(&envoy, METRIC_REQUESTS_FAILED), 1);
}

// An observer that writes down what it is told: a number is a place in this list.
static char told[16][80];
static uint32_t told_count, working_on;

static uint32_t tell(uint32_t before, const char *key, struct bytes value, bool is_known) {
    char all[sizeof told[0]];
    snprintf(all, sizeof all, "%.50s %.10s%s=%.*s", told[before], key, is_known ? "" : "?",
             (int)value.len, (const char *)value.data);
    memcpy(told[++told_count], all, sizeof all);
    return told_count;
}

static uint32_t enter(uint32_t label) {
    uint32_t before = working_on;
    working_on = label;
    return before;
}

static void leave(uint32_t before) {
    working_on = before;
}

static const struct observer observer = {tell, enter, leave};

static const char *observed(void) {
    assert_int_equal(working_on, 0);
    return told[process_stream_label(envoy.stream)];
}

static void test_process__tells_operation_model_and_route_as_they_come(void **state) {
    (void)state;
    told_count = 0;
    envoy.options.observer = &observer;
    send_post(CHAT);
    assert_string_equal(observed(), " operation=chat");
    envoy_send_body(&envoy, ENVOY_REQUEST_BODY, GOOD_BODY, true);
    assert_string_equal(observed(), " operation=chat model?=m-1");
    envoy.route = "r";
    send_reply_headers("200", "application/json");
    assert_string_equal(observed(), " operation=chat model?=m-1 route=r");
}

// A client can claim any name; one that was served is vouched for, once.
static void test_process__a_model_is_known_when_it_was_served(void **state) {
    (void)state;
    static const struct {
        const char *status;
        bool is_known;
    } cases[] = {{"200", true}, {"404", false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        told_count = 0;
        envoy.options.observer = &observer;
        send_post(CHAT);
        envoy_send_body(&envoy, ENVOY_REQUEST_BODY, GOOD_BODY, true);
        send_reply_headers(cases[i].status, "application/json");
        envoy_send_body(&envoy, ENVOY_RESPONSE_BODY, "{}", true);
        assert_string_equal(observed(), cases[i].is_known ? " operation=chat model?=m-1 model=m-1"
                                                          : " operation=chat model?=m-1");
        envoy_stop(&envoy);
        envoy_start(&envoy);
    }
}

static void test_process__behind_the_router_the_headers_tell_the_model(void **state) {
    (void)state;
    told_count = 0;
    envoy.options.observer = &observer;
    envoy.is_upstream = true;
    envoy.route = "r";
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, true, ":path", "/other", ":method", "POST",
                       "x-ai-eg-model", "m-2", "x-ai-eg-original-path", CHAT, NULL);
    envoy_common(&envoy, 1);
    assert_string_equal(observed(), " route=r operation=chat model?=m-2");
    // What is no UTF-8 would make the whole profile unreadable.
    told_count = 0;
    envoy_stop(&envoy);
    envoy_start(&envoy);
    envoy.options.observer = &observer;
    envoy.is_upstream = true;
    envoy_send_headers(&envoy, ENVOY_REQUEST_HEADERS, true, ":path", CHAT, ":method", "POST",
                       "x-ai-eg-model", "\xff", "x-ai-eg-original-path", CHAT, NULL);
    assert_string_equal(observed(), " operation=chat");
}

static void test_process__free_accepts_null(void **state) {
    (void)state;
    process_stream_free(NULL);
}
