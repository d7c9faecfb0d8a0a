// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/request.c"

#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct refusal refusal;
static uint8_t *body;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_reset(&arena);
    free(body);
    body = NULL;
    return 0;
}

// The body in memory that is exactly as long as promised.
static bool read_model(const char *text, size_t length, struct bytes *ret_model) {
    free(body);
    arena_reset(&arena);
    refusal = (struct refusal){0};
    body = calloc(1, length + JSON_PADDING);
    assert_non_null(body);
    memcpy(body, text, length);
    return request_read_model(body, length, &arena, ret_model, &refusal);
}

static void assert_model(const char *text, const char *want) {
    struct bytes model;
    assert_true(read_model(text, strlen(text), &model));
    assert_int_equal(model.len, strlen(want));
    assert_memory_equal(model.data, want, model.len);
}

static void assert_refused(const char *text, enum refusal_kind kind, const char *part) {
    struct bytes model;
    assert_false(read_model(text, strlen(text), &model));
    assert_int_equal(refusal.kind, kind);
    if (strstr(refusal.message, part) == NULL) fail_msg("%s: no \"%s\"", refusal.message, part);
}

static bool has_model(const char *method, const char *path) {
    return request_operation(bytes_of_text(method), bytes_of_text(path)) != NULL;
}

static void test_request__only_posts_to_known_paths_have_a_model(void **state) {
    (void)state;
    assert_true(has_model("POST", "/v1/chat/completions"));
    assert_true(has_model("POST", "/v1/completions"));
    assert_true(has_model("POST", "/v1/embeddings"));
    assert_true(has_model("POST", "/v1/responses"));
    assert_true(has_model("POST", "/v1/responses?a=/v1/x?b"));
    assert_true(has_model("POST", "/v1/responses?"));
    assert_false(has_model("GET", "/v1/chat/completions"));
    assert_false(has_model("post", "/v1/chat/completions"));
    assert_false(has_model("POST", "/v1/chat/completions/"));
    assert_false(has_model("POST", "/v1/chat/completion"));
    assert_false(has_model("POST", "/V1/chat/completions"));
    assert_false(has_model("POST", "/x?/v1/completions"));
    assert_false(has_model("POST", ""));
    assert_false(has_model("", ""));
}

static void test_request__reads_the_model_wherever_it_stands(void **state) {
    (void)state;
    assert_model("{\"model\":\"gpt-4\"}", "gpt-4");
    assert_model(" \r\n\t{\"messages\":[{\"model\":\"x\"}],\n \"model\" : \"a/b:c d\" } ",
                 "a/b:c d");
    assert_model("{\"\\u006dodel\":\"m\\u002d1\"}", "m-1");
    assert_model("{\"model\":\"\\\"q\\\"\"}", "\"q\"");
    assert_model("{\"a\":1e999,\"model\":\"m\",\"n\":123456789012345678901234567890}", "m");
    assert_model("{\"model\":\"\xe6\xa8\xa1\xe5\x9e\x8b\"}", "\xe6\xa8\xa1\xe5\x9e\x8b");
}

static void test_request__malformed_json_is_refused_with_its_place(void **state) {
    (void)state;
    assert_refused("{\"model\": \"m\" x}", REFUSAL_MALFORMED_JSON, "at byte 14");
    assert_refused("{\"model\":\"m\"", REFUSAL_MALFORMED_JSON, "at byte 12");
    assert_refused("{\"model\":\"m\"}{}", REFUSAL_MALFORMED_JSON, "at byte 13");
    assert_refused("{\"model\":\"\xff\"}", REFUSAL_MALFORMED_JSON, "at byte 10");
    assert_refused("{\"model\":\"a\nb\"}", REFUSAL_MALFORMED_JSON, "at byte");
    assert_refused("   ", REFUSAL_MALFORMED_JSON, "byte");
    assert_refused("", REFUSAL_MALFORMED_JSON, "byte");
    struct bytes model;
    assert_false(read_model("\0", 1, &model));
    assert_int_equal(refusal.kind, REFUSAL_MALFORMED_JSON);
}

static void test_request__a_body_that_is_no_object_is_refused(void **state) {
    (void)state;
    assert_refused("[\"model\"]", REFUSAL_MALFORMED_JSON, "not an array");
    assert_refused("\"model\"", REFUSAL_MALFORMED_JSON, "not a string");
    assert_refused("null", REFUSAL_MALFORMED_JSON, "not null");
    assert_refused("true", REFUSAL_MALFORMED_JSON, "not a boolean");
    assert_refused("1", REFUSAL_MALFORMED_JSON, "not a number");
}

static void test_request__a_missing_model_is_refused(void **state) {
    (void)state;
    assert_refused("{}", REFUSAL_MODEL_MISSING, "'model'");
    assert_refused("{\"x\":{\"model\":\"m\"}}", REFUSAL_MODEL_MISSING, "'model'");
    assert_refused("{\"Model\":\"m\"}", REFUSAL_MODEL_MISSING, "'model'");
    assert_refused("{\"model\\u0000\":\"m\"}", REFUSAL_MODEL_MISSING, "'model'");
}

static void test_request__a_model_of_the_wrong_type_is_refused(void **state) {
    (void)state;
    assert_refused("{\"model\":null}", REFUSAL_MODEL_INVALID, "not null");
    assert_refused("{\"model\":1}", REFUSAL_MODEL_INVALID, "not a number");
    assert_refused("{\"model\":-1.5}", REFUSAL_MODEL_INVALID, "not a number");
    assert_refused("{\"model\":1e999}", REFUSAL_MODEL_INVALID, "not a number");
    assert_refused("{\"model\":false}", REFUSAL_MODEL_INVALID, "not a boolean");
    assert_refused("{\"model\":[\"m\"]}", REFUSAL_MODEL_INVALID, "not an array");
    assert_refused("{\"model\":{}}", REFUSAL_MODEL_INVALID, "not an object");
    assert_refused("{\"model\":\"\"}", REFUSAL_MODEL_INVALID, "at byte 10 is an empty string");
}

// Would catch: what the product that we follow does, a 500 from Envoy for a bad header.
static void test_request__a_model_that_no_header_can_carry_is_refused(void **state) {
    (void)state;
    for (int c = 0; c < 0x80; c++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"model\":\"a\\u%04xb\"}", c);
        bool is_control = c < ' ' || c == 0x7f;
        if (is_control) assert_refused(text, REFUSAL_MODEL_INVALID, "index 1 of");
        struct bytes model;
        assert_int_equal(read_model(text, strlen(text), &model), !is_control);
    }
    assert_refused("{\"model\":\" a\"}", REFUSAL_MODEL_INVALID, "index 0 of");
    assert_refused("{\"model\":\"a \"}", REFUSAL_MODEL_INVALID, "index 1 of");
    assert_refused("{\"model\":\" \"}", REFUSAL_MODEL_INVALID, "index 0 of");
    assert_refused("{\"model\":\"a\\tb\"}", REFUSAL_MODEL_INVALID, "at byte 10 has");
}

static void test_request__a_model_has_a_longest_length(void **state) {
    (void)state;
    char text[REQUEST_MODEL_MOST_BYTES + 64];
    char model[REQUEST_MODEL_MOST_BYTES + 2];
    memset(model, 'm', sizeof(model));
    model[REQUEST_MODEL_MOST_BYTES + 1] = '\0';
    snprintf(text, sizeof(text), "{\"model\":\"%s\"}", model);
    assert_refused(text, REFUSAL_MODEL_INVALID, "is 1025 bytes long; the limit is 1024");
    model[REQUEST_MODEL_MOST_BYTES] = '\0';
    snprintf(text, sizeof(text), "{\"model\":\"%s\"}", model);
    assert_model(text, model);
}

// Would catch: routing by the first of two keys while the backend takes the last, or the other way
// round; encoding/json of Go, for one, takes keys of any case.
static void test_request__two_keys_that_a_backend_could_take_are_refused(void **state) {
    (void)state;
    assert_refused("{\"model\":\"a\",\"model\":\"b\"}", REFUSAL_MODEL_DUPLICATE, "at byte 14");
    assert_refused("{\"model\":\"a\",\"model\":\"a\"}", REFUSAL_MODEL_DUPLICATE, "more than once");
    assert_refused("{\"model\":\"a\",\"\\u006dodel\":1}", REFUSAL_MODEL_DUPLICATE, "at byte 14");
    assert_refused("{\"model\":\"a\",\"Model\":\"b\"}", REFUSAL_MODEL_DUPLICATE, "more than once");
    assert_refused("{\"MODEL\":\"a\",\"model\":\"b\"}", REFUSAL_MODEL_DUPLICATE, "more than once");
    assert_model("{\"model\":\"a\",\"models\":\"b\",\"mode\":\"c\"}", "a");
}

static void test_request__a_tree_over_the_memory_limit_is_too_large(void **state) {
    (void)state;
    enum { NUMBERS = 50000 };
    static char text[NUMBERS * 2 + 32];
    size_t length = (size_t)snprintf(text, sizeof(text), "{\"model\":\"m\",\"a\":[1");
    for (int i = 0; i < NUMBERS; i++) length += (size_t)sprintf(text + length, ",1");
    sprintf(text + length, "]}");
    arena.limit_bytes = 100000;
    assert_refused(text, REFUSAL_BODY_TOO_LARGE, "memory");
    arena.limit_bytes = 1 << 20;
    assert_model(text, "m");
}
