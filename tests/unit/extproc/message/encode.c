// SPDX-License-Identifier: Apache-2.0
#include "extproc/message/encode.c"

#include <stdlib.h>

#include "extproc/message/ext_proc.pb-c.h"

static uint8_t room[4096];
static struct arena arena;
static struct buffer out;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, room, sizeof(room), 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_reset(&arena);
    buffer_done(&out);
    out = (struct buffer){0};
    return 0;
}

static void assert_encoded(const struct message_answer *answer, const char *want, size_t length) {
    out.len = 0;
    assert_int_equal(message_encode(answer, &arena, &out), STATUS_OK);
    assert_int_equal(out.len, length);
    assert_memory_equal(out.data, want, length);
}

#define ASSERT_ENCODED(answer, literal) assert_encoded((answer), (literal), sizeof(literal) - 1)

// The bytes that Envoy was seen to accept.
static void test_encode__go_on_is_a_few_bytes_of_the_same_kind(void **state) {
    (void)state;
    ASSERT_ENCODED(&(struct message_answer){.kind = MESSAGE_REQUEST_HEADERS}, "\x0a\x02\x0a\x00");
    ASSERT_ENCODED(&(struct message_answer){.kind = MESSAGE_RESPONSE_HEADERS}, "\x12\x02\x0a\x00");
    ASSERT_ENCODED(&(struct message_answer){.kind = MESSAGE_REQUEST_BODY}, "\x1a\x02\x0a\x00");
    ASSERT_ENCODED(&(struct message_answer){.kind = MESSAGE_RESPONSE_BODY}, "\x22\x02\x0a\x00");
    ASSERT_ENCODED(&(struct message_answer){.kind = MESSAGE_REQUEST_TRAILERS}, "\x2a\x00");
    ASSERT_ENCODED(&(struct message_answer){.kind = MESSAGE_RESPONSE_TRAILERS}, "\x32\x00");
}

static void test_encode__appends_behind_what_is_there(void **state) {
    (void)state;
    assert_int_equal(buffer_append_text(&out, "prefix"), STATUS_OK);
    const struct message_answer answer = {.kind = MESSAGE_RESPONSE_TRAILERS};
    assert_int_equal(message_encode(&answer, &arena, &out), STATUS_OK);
    assert_int_equal(out.len, 8);
    assert_memory_equal(out.data, "prefix\x32\x00", 8);
}

// set_headers{header{key 1, raw_value 3}, append_action 3 = 2}, clear_route_cache 5.
static void test_encode__headers_are_set_by_raw_value_and_overwrite(void **state) {
    (void)state;
    const struct message_answer answer = {
        .kind = MESSAGE_REQUEST_BODY,
        .set_headers = {{BYTES_LITERAL("x"), BYTES_LITERAL("yz")}},
        .set_header_count = 1,
        .clears_route_cache = true,
    };
    ASSERT_ENCODED(&answer, "\x1a\x13\x0a\x11"
                            "\x12\x0d\x0a\x0b\x0a\x07\x0a\x01x\x1a\x02yz\x18\x02"
                            "\x28\x01");
}

static void test_encode__headers_are_removed_by_name(void **state) {
    (void)state;
    const struct bytes names[] = {BYTES_LITERAL("a"), BYTES_LITERAL("bc")};
    const struct message_answer answer = {
        .kind = MESSAGE_REQUEST_HEADERS,
        .remove_headers = names,
        .remove_header_count = 2,
    };
    ASSERT_ENCODED(&answer, "\x0a\x0b\x0a\x09\x12\x07\x12\x01"
                            "a\x12\x02"
                            "bc");
}

static void test_encode__mode_override_is_there_even_when_all_zero(void **state) {
    (void)state;
    struct message_answer answer = {.kind = MESSAGE_RESPONSE_HEADERS, .overrides_mode = true};
    ASSERT_ENCODED(&answer, "\x12\x02\x0a\x00\x4a\x00");
    answer.response_body_mode = MESSAGE_BODY_STREAMED;
    ASSERT_ENCODED(&answer, "\x12\x02\x0a\x00\x4a\x04\x20\x01\x30\x01");
    answer.request_body_mode = MESSAGE_BODY_BUFFERED;
    answer.response_body_mode = MESSAGE_BODY_NONE;
    ASSERT_ENCODED(&answer, "\x12\x02\x0a\x00\x4a\x02\x18\x02");
}

// Struct{fields{"io.envoy.ai_gateway": Value{struct_value{fields{"n": Value{number_value}, "t":
// …string_value}}}}}
static void test_encode__metadata_is_a_struct_in_a_struct(void **state) {
    (void)state;
    const struct message_answer answer = {
        .kind = MESSAGE_RESPONSE_BODY,
        .metadata = {{.key = BYTES_LITERAL("n"), .number = 1.5},
                     {.key = BYTES_LITERAL("t"), .is_text = true, .text = BYTES_LITERAL("v")}},
        .metadata_count = 2,
    };
    ASSERT_ENCODED(&answer, "\x22\x02\x0a\x00\x42\x35\x0a\x33\x0a\x13io.envoy.ai_gateway"
                            "\x12\x1c\x2a\x1a"
                            "\x0a\x0e\x0a\x01n\x12\x09\x11\x00\x00\x00\x00\x00\x00\xf8\x3f"
                            "\x0a\x08\x0a\x01t\x12\x03\x1a\x01v");
}

// Would catch: a zero that proto3 leaves out, so that Envoy sees a Value of no kind.
static void test_encode__a_zero_is_a_number(void **state) {
    (void)state;
    const struct message_answer answer = {
        .kind = MESSAGE_RESPONSE_BODY,
        .metadata = {{.key = BYTES_LITERAL("k"), .number = 0}},
        .metadata_count = 1,
    };
    ASSERT_ENCODED(&answer, "\x22\x02\x0a\x00\x42\x2b\x0a\x29\x0a\x13io.envoy.ai_gateway"
                            "\x12\x12\x2a\x10"
                            "\x0a\x0e\x0a\x01k\x12\x09\x11\x00\x00\x00\x00\x00\x00\x00\x00");
}

// What is said besides the body stands in the same CommonResponse.
static void test_encode__a_body_is_changed_with_its_headers(void **state) {
    (void)state;
    struct message_answer answer = {
        .kind = MESSAGE_REQUEST_BODY,
        .body_change = MESSAGE_BODY_REPLACED,
        .body = {BYTES_LITERAL("b")},
    };
    ASSERT_ENCODED(&answer, "\x1a\x07\x0a\x05\x1a\x03\x0a\x01"
                            "b");
    answer.clears_route_cache = true;
    answer.metadata[0] = (struct message_metadata){.key = BYTES_LITERAL("k"), .is_text = true};
    answer.metadata_count = 1;
    ASSERT_ENCODED(&answer, "\x42\x24\x0a\x22\x0a\x13io.envoy.ai_gateway\x12\x0b\x2a\x09"
                            "\x0a\x07\x0a\x01k\x12\x02\x1a\x00"
                            "\x1a\x09\x0a\x07\x28\x01\x1a\x03\x0a\x01"
                            "b");
}

static void test_encode__an_immediate_response_is_sent_alone(void **state) {
    (void)state;
    const struct message_immediate immediate = {
        .http_status = 400,
        .content_type = "a/b",
        .body = BYTES_LITERAL("{}"),
        .details = "d",
    };
    const struct message_answer answer = {
        .immediate = &immediate,
        .overrides_mode = true,
        .metadata = {{.key = BYTES_LITERAL("k")}},
        .metadata_count = 1,
    };
    ASSERT_ENCODED(&answer, "\x3a\x27\x0a\x03\x08\x90\x03"
                            "\x12\x19\x0a\x17\x0a\x13\x0a\x0c"
                            "content-type"
                            "\x1a\x03"
                            "a/b"
                            "\x18\x02\x1a\x02{}\x2a\x01"
                            "d");
}

static void test_encode__nothing_is_appended_when_memory_ends(void **state) {
    (void)state;
    struct message_answer answer = {.kind = MESSAGE_REQUEST_BODY, .clears_route_cache = true};
    out.limit = 5;
    assert_int_equal(message_encode(&answer, &arena, &out), STATUS_TOO_LARGE);
    assert_int_equal(out.len, 0);
    struct arena none;
    arena_init(&none, NULL, 0, 0);
    out.limit = 0;
    answer.body_change = MESSAGE_BODY_REPLACED;
    assert_int_equal(message_encode(&answer, &none, &out), STATUS_NO_MEMORY);
    assert_int_equal(out.len, 0);
}

// Would catch: room that is reckoned too small.
static void test_encode__what_is_long_has_room(void **state) {
    (void)state;
    enum { LONG = 70000 };
    static uint8_t text[LONG];
    const struct bytes name = bytes_of(text, LONG), names[] = {name, name};
    struct message_answer answer = {
        .kind = MESSAGE_REQUEST_HEADERS,
        .set_headers = {{name, name}, {name, name}},
        .set_header_count = 2,
        .remove_headers = names,
        .remove_header_count = 2,
        .overrides_mode = true,
        .metadata_count = MESSAGE_METADATA_MOST,
    };
    for (size_t i = 0; i < MESSAGE_METADATA_MOST; i++) {
        answer.metadata[i] = (struct message_metadata){
            .key = BYTES_LITERAL("k"), .is_text = true, .text = name};
    }
    assert_int_equal(message_encode(&answer, &arena, &out), STATUS_OK);
    assert_true(out.len > LONG * (6 + MESSAGE_METADATA_MOST));
    ExtProc__ProcessingResponse *read = ext_proc__processing_response__unpack(NULL, out.len,
                                                                              out.data);
    assert_non_null(read);
    assert_int_equal(read->request_headers->response->header_mutation->n_set_headers, 2);
    ext_proc__processing_response__free_unpacked(read, NULL);
}
