// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/request.c"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct refusal refusal;
static struct request request;

// In pieces of so many bytes. False: refused.
static bool read_in_steps(const char *text, size_t length, size_t step) {
    refusal = (struct refusal){0};
    request_init(&request);
    for (size_t start = 0; start < length; start += step) {
        size_t rest = length - start, piece_bytes = rest < step ? rest : step;
        uint8_t *piece = malloc(piece_bytes);  // gone when the next one comes
        assert_non_null(piece);
        memcpy(piece, text + start, piece_bytes);
        bool is_good = request_add(&request, bytes_of(piece, piece_bytes), &refusal);
        free(piece);
        if (!is_good) return false;
    }
    return request_end(&request, &refusal);
}

// Cut in any way it says the same.
static bool read_model(const char *text, size_t length, struct bytes *ret_model) {
    bool is_good = read_in_steps(text, length, length + 1);
    const struct refusal whole = refusal;
    for (size_t step = 1; step < 12; step++) {
        assert_int_equal(read_in_steps(text, length, step), is_good);
        assert_memory_equal(&refusal, &whole, sizeof(refusal));
    }
    *ret_model = request_model(&request);
    return is_good;
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
    assert_refused("{\"model\":\"\"}", REFUSAL_MODEL_INVALID, "at byte 9 is an empty string");
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
    assert_refused("{\"model\":\"a\\tb\"}", REFUSAL_MODEL_INVALID, "at byte 9 has");
}

static void test_request__a_model_has_a_longest_length(void **state) {
    (void)state;
    char text[REQUEST_MODEL_MOST_BYTES + 64];
    char model[REQUEST_MODEL_MOST_BYTES + 2];
    memset(model, 'm', sizeof(model));
    model[REQUEST_MODEL_MOST_BYTES + 1] = '\0';
    snprintf(text, sizeof(text), "{\"model\":\"%s\"}", model);
    assert_refused(text, REFUSAL_MODEL_INVALID, "is longer than the limit of 1024 bytes");
    model[REQUEST_MODEL_MOST_BYTES] = '\0';
    snprintf(text, sizeof(text), "{\"model\":\"%s\"}", model);
    assert_model(text, model);
}

// Would catch: routing by the first of two keys while the backend takes the last, or the other way
// round; encoding/json of Go, for one, takes keys of any case.
static void test_request__two_keys_that_a_backend_could_take_are_refused(void **state) {
    (void)state;
    assert_refused("{\"model\":\"a\",\"model\":\"b\"}", REFUSAL_MODEL_DUPLICATE, "at byte 13");
    assert_refused("{\"model\":\"a\",\"model\":\"a\"}", REFUSAL_MODEL_DUPLICATE, "more than once");
    assert_refused("{\"model\":\"a\",\"\\u006dodel\":1}", REFUSAL_MODEL_DUPLICATE, "at byte 13");
    assert_refused("{\"model\":\"a\",\"Model\":\"b\"}", REFUSAL_MODEL_DUPLICATE, "more than once");
    assert_refused("{\"MODEL\":\"a\",\"model\":\"b\"}", REFUSAL_MODEL_DUPLICATE, "more than once");
    assert_model("{\"model\":\"a\",\"models\":\"b\",\"mode\":\"c\"}", "a");
}

// Would catch: a decision that waits for the end of a long body.
static void test_request__the_model_is_known_with_its_last_byte(void **state) {
    (void)state;
    const char text[] = "{\"model\":\"m-1\",\"messages\":[]}";
    request_init(&request);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_true(request_add(&request, bytes_of(text + i, 1), &refusal));
        assert_int_equal(request_model(&request).len, i < 13 ? 0 : 3);
    }
    assert_true(request_end(&request, &refusal));
    assert_true(bytes_equal(request_model(&request), BYTES_LITERAL("m-1")));
}

// Would catch: the room of the scanner written over by later texts.
static void test_request__the_model_stays_while_others_come(void **state) {
    (void)state;
    assert_model("{\"model\":\"m\\u002d1\",\"k\\u0065y that is longer than the room for keys\":"
                 "\"v\\u0061lue\",\"stre\\u0061m\":true}",
                 "m-1");
    assert_true(request.is_stream);
}

/* asking for the usage */

// The body with its change.
static void assert_edited(const char *text, const char *want) {
    struct bytes model;
    assert_true(read_model(text, strlen(text), &model));
    const struct request_edit *edit = &request.edit;
    char edited[400];
    snprintf(edited, sizeof(edited), "%.*s%s%s", (int)edit->from, text,
             edit->text != NULL ? edit->text : "", text + edit->to);
    assert_string_equal(edited, want);
    assert_int_equal(edit->text != NULL, strcmp(text, want) != 0);
}

#define ASKS "\"include_usage\":true"

static void test_request__a_stream_is_made_to_tell_its_usage(void **state) {
    (void)state;
    assert_edited("{\"model\":\"m\",\"stream\":true}",
                  "{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "}}");
    assert_edited(" {\"stream\":true, \"a\":[{}],\"model\":\"m\" } ",
                  " {\"stream\":true, \"a\":[{}],\"model\":\"m\" ,\"stream_options\":{" ASKS "}} ");
    assert_edited("{\"model\":\"m\",\"stream\":true,\"stream_options\":{ }}",
                  "{\"model\":\"m\",\"stream\":true,\"stream_options\":{ " ASKS "}}");
    assert_edited("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"x\":{\"y\":{}}}}",
                  "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"x\":{\"y\":{}}," ASKS
                  "}}");
    assert_edited(
        "{\"stream_options\":{\"include_usage\": false,\"x\":1},\"model\":\"m\",\"stream\":true}",
        "{\"stream_options\":{\"include_usage\": true,\"x\":1},\"model\":\"m\",\"stream\":true}");
    assert_edited("{\"stream_options\":{\"include_usage\":null},\"model\":\"m\",\"stream\":true}",
                  "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}");
    assert_edited("{\"model\":\"m\",\"stream\":true,\"stream_options\":null}",
                  "{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "}}");
}

static void test_request__what_asks_or_makes_no_sense_stays(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"model\":\"m\"}",
        "{\"model\":\"m\",\"stream\":false}",
        "{\"model\":\"m\",\"stream\":\"true\"}",
        "{\"model\":\"m\",\"stream\":[true]}",
        "{\"model\":\"m\",\"x\":{\"stream\":true}}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{" ASKS "}}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"x\":0," ASKS ",\"y\":{}}}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":[]}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":[{}]}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":7}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":[false]}}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":{}}}",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) assert_edited(bodies[i], bodies[i]);
}

static void test_request__only_some_operations_take_the_option(void **state) {
    (void)state;
    assert_true(request_may_ask_for_usage("chat"));
    assert_true(request_may_ask_for_usage("completion"));
    assert_false(request_may_ask_for_usage("embeddings"));
    assert_false(request_may_ask_for_usage("responses"));
}
