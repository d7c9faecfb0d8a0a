// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/refusal.c"

#include <string.h>

static uint8_t room[8192];

// Encodes, and reads it again with the same strictness as a client.
static yyjson_val *encode_and_read(const struct refusal *refusal, struct arena *arena) {
    struct bytes body;
    const struct yyjson_alc allocator = {allocate, grow, release, arena};
    assert_int_equal(refusal_encode(refusal, arena, &body), STATUS_OK);
    yyjson_doc *document = yyjson_read_opts((char *)(uintptr_t)body.data, body.len, 0, &allocator,
                                            NULL);
    assert_non_null(document);
    yyjson_val *root = yyjson_doc_get_root(document);
    yyjson_val *error = yyjson_obj_get(root, "error");
    assert_int_equal(yyjson_obj_size(root), 1);
    assert_int_equal(yyjson_obj_size(error), 4);
    return error;
}

static void test_refusal__has_the_form_of_openais_errors(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, room, sizeof(room), 1 << 16);
    struct refusal refusal;
    refusal_set(&refusal, REFUSAL_MODEL_MISSING, "No %s.", "model");
    struct bytes body;
    assert_int_equal(refusal_encode(&refusal, &arena, &body), STATUS_OK);
    static const char want[] = "{\"error\":{\"message\":\"No model.\",\"type\":\"invalid_request_"
                               "error\",\"param\":\"model\",\"code\":\"model_missing\"}}";
    assert_int_equal(body.len, strlen(want));
    assert_memory_equal(body.data, want, body.len);
    arena_reset(&arena);
}

static void test_refusal__every_kind_is_complete(void **state) {
    (void)state;
    for (size_t kind = REFUSAL_NONE + 1; kind < COUNT_OF(rows); kind++) {
        struct arena arena;
        struct refusal refusal;
        arena_init(&arena, room, sizeof(room), 1 << 16);
        refusal_set(&refusal, (enum refusal_kind)kind, "Because.");
        yyjson_val *error = encode_and_read(&refusal, &arena);
        const struct refusal_row *row = refusal_row((enum refusal_kind)kind);
        assert_true(row->http_status >= 400 && row->http_status < 600);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(error, "code")), row->code);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(error, "type")), row->type);
        yyjson_val *param = yyjson_obj_get(error, "param");
        assert_true(row->param != NULL ? yyjson_is_str(param) : yyjson_is_null(param));
        arena_reset(&arena);
    }
}

// Would catch: what the product that we follow does, quotes of the message unescaped.
static void test_refusal__any_message_gives_valid_json(void **state) {
    (void)state;
    struct arena arena;
    struct refusal refusal;
    arena_init(&arena, room, sizeof(room), 1 << 16);
    refusal_set(&refusal, REFUSAL_MALFORMED_JSON, "%s", "a \"quoted\" \\ and \n\x01 more");
    yyjson_val *error = encode_and_read(&refusal, &arena);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(error, "message")), refusal.message);
    char longest[2 * sizeof(refusal.message)];
    memset(longest, '"', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    refusal_set(&refusal, REFUSAL_MALFORMED_JSON, "%s", longest);
    error = encode_and_read(&refusal, &arena);
    assert_int_equal(yyjson_get_len(yyjson_obj_get(error, "message")), sizeof(refusal.message) - 1);
    arena_reset(&arena);
}

static void test_refusal__reports_every_failed_allocation(void **state) {
    (void)state;
    struct refusal refusal;
    refusal_set(&refusal, REFUSAL_MODEL_INVALID, "Because.");
    size_t failures = 0;
    for (size_t bytes = 0;; bytes += 16) {
        struct arena arena;
        struct bytes body;
        assert_true(bytes <= sizeof(room));
        arena_init(&arena, room, bytes, 0);
        enum status status = refusal_encode(&refusal, &arena, &body);
        arena_reset(&arena);
        if (status == STATUS_OK) break;
        assert_int_equal(status, STATUS_NO_MEMORY);
        failures++;
    }
    assert_true(failures > 3);
}
