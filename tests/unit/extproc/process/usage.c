// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/usage.c"

#include <stdio.h>

static struct usage usage;

static int setup(void **state) {
    (void)state;
    usage = (struct usage){0};
    return 0;
}

// In one piece, or with a step in pieces of that size. False: it is no JSON.
static bool take_in_steps(const char *text, size_t step) {
    struct usage_reader reader;
    size_t length = strlen(text);
    usage_begin(&reader);
    for (size_t start = 0; start < length; start += step) {
        size_t rest = length - start;
        if (!usage_add(&reader, bytes_of(text + start, rest < step ? rest : step), &usage)) break;
    }
    return usage_end(&reader);
}

// Cut in any way it says the same.
static void take(const char *text) {
    const struct usage before = usage;
    assert_true(take_in_steps(text, 1000));
    const struct usage whole = usage;
    for (size_t step = 1; step < 20; step++) {
        usage = before;
        assert_true(take_in_steps(text, step));
        assert_memory_equal(&usage, &whole, sizeof(usage));
    }
}

enum { ABSENT = -1 };

static int64_t number_of(struct usage_count count) {
    return count.is_known ? (int64_t)count.tokens : ABSENT;
}

static void assert_usage(int64_t input, int64_t cached, int64_t output, int64_t total) {
    assert_int_equal(number_of(usage.counts[USAGE_INPUT]), input);
    assert_int_equal(number_of(usage.counts[USAGE_CACHED_INPUT]), cached);
    assert_int_equal(number_of(usage.counts[USAGE_OUTPUT]), output);
    assert_int_equal(number_of(usage.counts[USAGE_TOTAL]), total);
}

static void assert_model(const char *want) {
    assert_int_equal(usage.model_bytes, strlen(want));
    assert_memory_equal(usage.model, want, usage.model_bytes);
}

static void test_usage__reads_a_chat_completion(void **state) {
    (void)state;
    take("{\"id\":\"x\",\"model\":\"gpt-4o-2024\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,"
         "\"completion_tokens\":7,\"total_tokens\":18,\"prompt_tokens_details\":"
         "{\"cached_tokens\":4,\"audio_tokens\":0}}}");
    assert_usage(11, 4, 7, 18);
    assert_model("gpt-4o-2024");
}

static void test_usage__reads_an_embedding(void **state) {
    (void)state;
    take("{\"model\":\"e\",\"data\":[],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");
    assert_usage(8, ABSENT, ABSENT, 8);
    assert_model("e");
}

static void test_usage__reads_a_response(void **state) {
    (void)state;
    take("{\"model\":\"r\",\"usage\":{\"input_tokens\":36,\"input_tokens_details\":"
         "{\"cached_tokens\":0},\"output_tokens\":87,\"total_tokens\":123}}");
    assert_usage(36, 0, 87, 123);
    assert_model("r");
}

static void test_usage__reads_the_events_of_a_response(void **state) {
    (void)state;
    take("{\"type\":\"response.created\",\"response\":{\"model\":\"r-1\",\"usage\":null}}");
    assert_false(usage_is_known(&usage));
    assert_model("r-1");
    take("{\"type\":\"response.output_text.delta\",\"delta\":\"usage\"}");
    assert_false(usage_is_known(&usage));
    take("{\"type\":\"response.completed\",\"response\":{\"model\":\"r-2\",\"usage\":"
         "{\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":3,"
         "\"input_tokens_details\":{\"cached_tokens\":1}}}}");
    assert_usage(1, 1, 2, 3);
    assert_model("r-2");
}

static void test_usage__reads_reasoning_tokens(void **state) {
    (void)state;
    take("{\"usage\":{\"completion_tokens\":9,\"completion_tokens_details\":"
         "{\"reasoning_tokens\":6,\"audio_tokens\":1}}}");
    assert_int_equal(number_of(usage.counts[USAGE_REASONING]), 6);
    take("{\"usage\":{\"output_tokens_details\":{\"reasoning_tokens\":7},\"output_tokens\":8}}");
    assert_int_equal(number_of(usage.counts[USAGE_REASONING]), 7);
    assert_usage(ABSENT, ABSENT, 8, ABSENT);
}

// Would catch: a word that is looked for, rather than the place where it stands.
static void test_usage__the_same_names_elsewhere_say_nothing(void **state) {
    (void)state;
    take("{\"choices\":[{\"usage\":{\"total_tokens\":1},\"model\":\"x\"}],\"x\":{\"usage\":"
         "{\"total_tokens\":2}},\"total_tokens\":3,\"response\":{\"x\":{\"usage\":"
         "{\"total_tokens\":4}},\"response\":{\"model\":\"y\"}},\"usage\":{\"cached_tokens\":5,"
         "\"x\":{\"total_tokens\":6},\"completion_tokens_details\":{\"cached_tokens\":7}},"
         "\"cached_tokens\":[{\"model\":\"z\"}]}");
    assert_false(usage_is_known(&usage));
    assert_model("");
    take("[{\"usage\":{\"total_tokens\":1},\"model\":\"x\"}]");
    assert_false(usage_is_known(&usage));
    assert_model("");
}

static void test_usage__what_is_no_json_is_said(void **state) {
    (void)state;
    static const char *const bad[] = {"", "x", "{", "{}{}", "{\"usage\":}", "[DONE]"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(take_in_steps(bad[i], 1));
        assert_false(take_in_steps(bad[i], 100));
    }
}

static void test_usage__the_last_usage_wins_as_a_whole(void **state) {
    (void)state;
    take("{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1,\"total_tokens\":6}}");
    take("{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}");
    assert_usage(5, ABSENT, 9, ABSENT);
}

static void test_usage__nothing_known_replaces_nothing(void **state) {
    (void)state;
    take("{\"model\":\"m\",\"usage\":{\"prompt_tokens\":5,\"total_tokens\":6}}");
    static const char *const empty[] = {
        "{\"usage\":null,\"model\":\"\"}",
        "{\"usage\":{}}",
        "{\"usage\":[1]}",
        "{\"usage\":\"5\",\"model\":5}",
        "{}",
        "[]",
        "null",
        "\"usage\"",
        "7",
        "{\"usage\":{\"prompt_tokens\":null}}",
        "{\"response\":{}}",
        "{\"response\":null}",
    };
    for (size_t i = 0; i < COUNT_OF(empty); i++) take(empty[i]);
    assert_usage(5, ABSENT, ABSENT, 6);
    assert_model("m");
}

// What is no count is left out; what is beside it counts.
static void test_usage__only_whole_numbers_that_a_double_holds_count(void **state) {
    (void)state;
    static const char *const bad[] = {
        "-1",
        "1.5",
        "12.0",
        "1e3",
        "\"7\"",
        "null",
        "true",
        "[7]",
        "{}",
        "9007199254740993",
        "18446744073709551615",
        "123456789012345678901234567890",
        "1e999",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char text[160];
        usage = (struct usage){0};
        snprintf(text, sizeof(text), "{\"usage\":{\"prompt_tokens\":%s,\"total_tokens\":6}}",
                 bad[i]);
        take(text);
        assert_usage(ABSENT, ABSENT, ABSENT, 6);
    }
    take("{\"usage\":{\"prompt_tokens\":0,\"total_tokens\":9007199254740992}}");
    assert_usage(0, ABSENT, ABSENT, INT64_C(9007199254740992));
}

static void test_usage__a_details_object_of_another_type_is_ignored(void **state) {
    (void)state;
    take("{\"usage\":{\"total_tokens\":1,\"prompt_tokens_details\":[{\"cached_tokens\":1}]}}");
    assert_usage(ABSENT, ABSENT, ABSENT, 1);
}

static void test_usage__a_model_that_is_too_long_is_not_taken(void **state) {
    (void)state;
    char text[USAGE_MODEL_MOST_BYTES + 64], model[USAGE_MODEL_MOST_BYTES + 2];
    memset(model, 'm', sizeof(model));
    model[USAGE_MODEL_MOST_BYTES + 1] = '\0';
    snprintf(text, sizeof(text), "{\"model\":\"%s\"}", model);
    take(text);
    assert_int_equal(usage.model_bytes, 0);
    model[USAGE_MODEL_MOST_BYTES] = '\0';
    snprintf(text, sizeof(text), "{\"model\":\"%s\"}", model);
    take(text);
    assert_model(model);
}

// Would catch: a field of which the scanner does not tell.
static void test_usage__each_place_lets_its_keys_through(void **state) {
    (void)state;
    for (size_t place = 0; place < PLACES; place++) {
        for (size_t i = 0; i < places[place].count; i++) {
            size_t key_bytes = places[place].fields[i].key.len;
            assert_true(places[place].key_lengths & SCAN_KEY_LENGTH(key_bytes));
        }
    }
}
