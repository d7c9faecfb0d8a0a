// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/json.c"

static uint8_t room[4096];
static struct arena arena;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, room, sizeof(room), 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_reset(&arena);
    return 0;
}

static enum status read_text(const char *text, struct fault *ret_fault, yyjson_val **ret_root) {
    return json_read(bytes_of_text(text), &arena, ret_fault, ret_root);
}

static void test_json__a_copy_is_read_and_the_text_stays(void **state) {
    (void)state;
    const char text[] = "[\"a\\nb\",1]";
    struct fault fault;
    yyjson_val *root = NULL;
    assert_int_equal(read_text(text, &fault, &root), STATUS_OK);
    assert_string_equal(yyjson_get_str(yyjson_arr_get(root, 0)), "a\nb");
    assert_string_equal(text, "[\"a\\nb\",1]");
}

static void test_json__is_strict(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",           " ",     "{",           "[1,]",
        "{\"a\":1,}", "{a:1}", "'a'",         "[1] x",
        "// c\n1",    "NaN",   "[Infinity]",  "\"\x01\"",
        "\"\xff\"",   "01",    "\"\\ud800\"", "\xef\xbb\xbf{}",
        "[\"\\x\"]",  "+1",    "tru",         "1.",
        ".5",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct fault fault = {0};
        yyjson_val *root = NULL;
        assert_int_equal(read_text(bad[i], &fault, &root), STATUS_MALFORMED);
        assert_int_equal(fault.status, STATUS_MALFORMED);
        assert_non_null(fault.what);
        assert_true(fault.offset <= strlen(bad[i]));
        assert_null(root);
    }
}

static void test_json__says_where(void **state) {
    (void)state;
    struct fault fault;
    yyjson_val *root = NULL;
    assert_int_equal(read_text("{\"a\": x}", &fault, &root), STATUS_MALFORMED);
    assert_int_equal(fault.offset, 6);
}

static void test_json__no_number_is_too_large(void **state) {
    (void)state;
    struct fault fault;
    yyjson_val *root = NULL;
    assert_int_equal(read_text("[1e999,123456789012345678901234567890,-1e-999,-0]", &fault, &root),
                     STATUS_OK);
    assert_true(yyjson_is_raw(yyjson_arr_get(root, 0)));
    assert_true(yyjson_is_raw(yyjson_arr_get(root, 1)));
}

// Would catch: a parser that recurses.
static void test_json__depth_costs_no_stack(void **state) {
    (void)state;
    enum { DEPTH = 1 << 16 };
    static char text[DEPTH * 2 + 1];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    struct arena large;
    struct fault fault;
    yyjson_val *root = NULL;
    arena_init(&large, NULL, 0, 16 << 20);
    assert_int_equal(json_read(bytes_of(text, DEPTH * 2), &large, &fault, &root), STATUS_OK);
    arena_reset(&large);
}

static void test_json__reports_every_failed_allocation(void **state) {
    (void)state;
    static char text[4002];
    memset(text, '1', sizeof(text) - 1);
    for (size_t i = 0; i < sizeof(text) - 1; i += 2) text[i] = i == 0 ? '[' : ',';
    text[sizeof(text) - 2] = ']';
    size_t failures = 0;
    for (size_t limit = 0;; limit += 5000) {
        struct arena small;
        struct fault fault;
        yyjson_val *root = NULL;
        arena_init(&small, NULL, 0, limit);
        enum status status = json_read(bytes_of_text(text), &small, &fault, &root);
        arena_reset(&small);
        if (status == STATUS_OK) break;
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_int_equal(fault.status, STATUS_NO_MEMORY);
        failures++;
    }
    assert_true(failures > 3);
}
