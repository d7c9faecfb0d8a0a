// SPDX-License-Identifier: Apache-2.0
#include "extproc/genai.c"

#include <stdio.h>

static struct genai_catalogue catalogue = GENAI_CATALOGUE_INIT;
static struct genai one, two;
static struct buffer text;

static int setup(void **state) {
    (void)state;
    catalogue.count = 0;
    one = (struct genai){.catalogue = &catalogue};
    two = (struct genai){.catalogue = &catalogue};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    genai_done(&one);
    genai_done(&two);
    buffer_done(&text);
    return 0;
}

static struct genai_request request_for(const char *model) {
    struct bytes name = bytes_of_text(model);
    return (struct genai_request){.operation = "chat",
                                  .original_model = name,
                                  .request_model = name,
                                  .response_model = name,
                                  .duration_ns = 15 * NS_PER_MS,
                                  .first_token_ns = -1,
                                  .per_token_ns = -1};
}

static const char *write_text(void) {
    struct genai *const threads[] = {&one, &two};
    text.len = 0;
    assert_int_equal(genai_write(&catalogue, threads, 2, &text), STATUS_OK);
    assert_int_equal(buffer_append_byte(&text, '\0'), STATUS_OK);
    return (const char *)text.data;
}

static void assert_has(const char *part) {
    if (strstr(write_text(), part) == NULL) fail_msg("no %s in\n%s", part, (char *)text.data);
}

#define CHAT                                                                                       \
    "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_original_model=\""
#define MODELS(original, request, response)                                                        \
    original "\",gen_ai_request_model=\"" request "\",gen_ai_response_model=\"" response "\""

static void test_genai__sums_the_threads_under_one_set_of_labels(void **state) {
    (void)state;
    struct genai_request request = request_for("m");
    request.tokens[GENAI_INPUT] = (struct genai_count){true, 5};
    request.tokens[GENAI_REASONING] = (struct genai_count){true, 0};
    genai_record(&one, &request);
    genai_record(&two, &request);
    assert_has("gen_ai_client_token_usage_sum{" CHAT MODELS(
        "m", "m", "m") ",gen_ai_token_type=\"input\"} 10\n");
    assert_has("gen_ai_client_token_usage_count{" CHAT MODELS(
        "m", "m", "m") ",gen_ai_token_type=\"reasoning\"} 2\n");
    assert_has("gen_ai_server_request_duration_seconds_bucket{" CHAT MODELS(
        "m", "m", "m") ",le=\"0.02\"} 2\n");
    assert_has(
        "gen_ai_server_request_duration_seconds_sum{" CHAT MODELS("m", "m", "m") "} 0.030000000\n");
    assert_null(strstr(write_text(), "gen_ai_token_type=\"output\""));
    assert_null(strstr(write_text(), "gen_ai_server_time_to_first_token_seconds_count"));
}

static void test_genai__records_the_latencies_of_streams(void **state) {
    (void)state;
    struct genai_request request = request_for("m");
    request.first_token_ns = 0;
    request.per_token_ns = 60 * NS_PER_MS;
    genai_record(&one, &request);
    assert_has("gen_ai_server_time_to_first_token_seconds_bucket{" CHAT MODELS(
        "m", "m", "m") ",le=\"0.001\"} 1\n");
    assert_has("gen_ai_server_time_per_output_token_seconds_bucket{" CHAT MODELS(
        "m", "m", "m") ",le=\"0.05\"} 0\n");
    assert_has("gen_ai_server_time_per_output_token_seconds_bucket{" CHAT MODELS(
        "m", "m", "m") ",le=\"0.075\"} 1\n");
}

static void test_genai__names_what_is_unknown_and_escapes_what_is_odd(void **state) {
    (void)state;
    struct genai_request request = request_for("a\"b\\c\nd");
    request.response_model = BYTES_EMPTY;
    genai_record(&one, &request);
    assert_has(CHAT MODELS("a\\\"b\\\\c\\nd", "a\\\"b\\\\c\\nd", "unknown"));
    char long_name[2 * GENAI_NAME_BYTES + 1];
    for (size_t i = 0; i < sizeof(long_name) - 2; i += 2) memcpy(long_name + i, "\xc3\xa4", 2);
    long_name[sizeof(long_name) - 1] = '\0';
    genai_record(&one, &(const struct genai_request){.operation = "chat",
                                                     .original_model = bytes_of_text(long_name)});
    char cut[GENAI_NAME_BYTES + 1];
    snprintf(cut, sizeof(cut), "%.*s\"", GENAI_NAME_BYTES - 2, long_name);
    assert_has(cut);
}

// Only what was served once gets a name of its own when it fails.
static void test_genai__lets_failures_bring_no_names(void **state) {
    (void)state;
    struct genai_request good = request_for("good"), bad = request_for("bad");
    bad.error_type = "503";
    genai_record(&one, &bad);
    assert_has(CHAT MODELS("other", "other", "other") ",error_type=\"503\"");
    assert_null(strstr(write_text(), "\"bad\""));
    genai_record(&one, &good);
    good.error_type = "503";
    genai_record(&one, &good);
    assert_has(CHAT MODELS("good", "good", "good") ",error_type=\"503\"");
    struct genai_request none = request_for("");
    none.error_type = "malformed_json";
    genai_record(&one, &none);
    assert_has(CHAT MODELS("unknown", "unknown", "unknown") ",error_type=\"malformed_json\"");
}

// Each record finds its series, whatever the one before was: the place of the latest is kept.
static void test_genai__tells_apart_what_comes_in_turn(void **state) {
    (void)state;
    struct genai_request requests[] = {
        request_for("model"), request_for("model-b"), request_for("mode"), request_for("model"),
        request_for("model"), request_for("model"),   request_for("model")};
    requests[3].response_model = BYTES_LITERAL("another");
    requests[4].operation = "embeddings";
    requests[5].error_type = "503";
    requests[6].response_model = BYTES_EMPTY;
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        for (size_t times = 0; times < 2; times++) genai_record(&one, &requests[0]);
        genai_record(&one, &requests[i]);
        genai_record(&one, &requests[i]);
    }
#define COUNT "gen_ai_server_request_duration_seconds_count{"
    assert_has(COUNT CHAT MODELS("model", "model", "model") "} 16\n");
    assert_has(COUNT CHAT MODELS("model-b", "model-b", "model-b") "} 2\n");
    assert_has(COUNT CHAT MODELS("mode", "mode", "mode") "} 2\n");
    assert_has(COUNT CHAT MODELS("model", "model", "another") "} 2\n");
    assert_has(COUNT CHAT MODELS("model", "model", "model") ",error_type=\"503\"} 2\n");
    assert_has(COUNT CHAT MODELS("model", "model", "unknown") "} 2\n");
    assert_has(COUNT "gen_ai_operation_name=\"embeddings\"");
}

static void test_genai__counts_everything_however_many_names_there_are(void **state) {
    (void)state;
    enum { NAMES = 1000 };
    char name[16];
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        struct genai_request request = request_for(name);
        if (i % 3 == 2) request.error_type = name;
        genai_record(&one, &request);
    }
    assert_in_range(catalogue.count, GENAI_SERIES_MOST / 2, GENAI_SERIES_MOST);
    assert_has(CHAT MODELS("other", "other", "other") "} ");
    assert_has("gen_ai_operation_name=\"other\"");
    unsigned long long sum = 0;
    const char *line = write_text(), *family = "gen_ai_server_request_duration_seconds_count{";
    while ((line = strstr(line, family)) != NULL) {
        line = strstr(line, "} ") + 2;
        sum += strtoull(line, NULL, 10);
    }
    assert_int_equal(sum, NAMES);
}

static void test_genai__is_recorded_nowhere_without_a_place(void **state) {
    (void)state;
    struct genai_request request = request_for("m");
    genai_record(NULL, &request);
    assert_has("# TYPE gen_ai_client_token_usage histogram\n");
}
