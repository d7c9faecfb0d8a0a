// SPDX-License-Identifier: Apache-2.0
#include "extproc/message/decode.c"

#include <stdlib.h>

static uint8_t room[4096];
static struct arena arena;

static int setup(void **state) {
    (void)state;
    memset(room, 0xee, sizeof(room));
    arena_init(&arena, room, sizeof(room), 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_reset(&arena);
    return 0;
}

static enum status decode(const char *bytes, size_t length, struct message *ret_message) {
    return message_decode(bytes_of(bytes, length), &arena, ret_message);
}

// A literal with its NULs.
#define DECODE(literal, ret_message) decode((literal), sizeof(literal) - 1, (ret_message))

static void assert_text(struct bytes got, const char *want) {
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

// What Envoy was seen to send: a piece of an event stream, then an empty metadata_context.
static void test_decode__reads_a_body_as_envoy_sends_it(void **state) {
    (void)state;
    struct message message;
    assert_int_equal(DECODE("\x2a\x08\x0a\x04"
                            "data"
                            "\x10\x01\x42\x00",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.kind, MESSAGE_RESPONSE_BODY);
    assert_true(message.end_of_stream);
    assert_text(message.body, "data");
    assert_false(message.has_modes);
    assert_false(message.is_observed);
}

static void test_decode__reads_each_kind(void **state) {
    (void)state;
    static const enum message_kind kinds[] = {
        [2] = MESSAGE_REQUEST_HEADERS,  [3] = MESSAGE_RESPONSE_HEADERS,
        [4] = MESSAGE_REQUEST_BODY,     [5] = MESSAGE_RESPONSE_BODY,
        [6] = MESSAGE_REQUEST_TRAILERS, [7] = MESSAGE_RESPONSE_TRAILERS,
    };
    for (uint8_t field = 2; field <= 7; field++) {
        const uint8_t bytes[] = {(uint8_t)(field << 3 | 2), 0};
        struct message message;
        assert_int_equal(message_decode(bytes_of(bytes, 2), &arena, &message), STATUS_OK);
        assert_int_equal(message.kind, kinds[field]);
        assert_false(message.end_of_stream);
        assert_int_equal(message.header_count, 0);
        assert_int_equal(message.body.len, 0);
    }
}

static void test_decode__reads_headers(void **state) {
    (void)state;
    struct message message;
    assert_int_equal(DECODE("\x12\x21"
                            "\x0a\x1d"
                            "\x0a\x0c\x0a\x05:path\x1a\x03/v1"  // raw_value
                            "\x0a\x06\x0a\x01"
                            "a\x12\x01"
                            "b"  // value
                            "\x0a\x05\x0a\x03"
                            "c-d"  // neither
                            "\x18\x01",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.kind, MESSAGE_REQUEST_HEADERS);
    assert_true(message.end_of_stream);
    assert_int_equal(message.header_count, 3);
    assert_text(message.headers[0].name, ":path");
    assert_text(message.headers[0].value, "/v1");
    assert_text(message.headers[1].value, "b");
    assert_text(message.headers[2].name, "c-d");
    assert_text(message.headers[2].value, "");
    assert_text(message_find_header(&message, BYTES_LITERAL("a")), "b");
    assert_text(message_find_header(&message, BYTES_LITERAL("absent")), "");
}

// More than there is room for at first.
static void test_decode__reads_a_hundred_headers(void **state) {
    (void)state;
    static const char header[] = "\x0a\x08\x0a\x02h?\x1a\x02v?";
    struct buffer list = {0};
    for (char c = 0; c < 100; c++) {
        assert_int_equal(buffer_append(&list, bytes_of(header, sizeof(header) - 1)), STATUS_OK);
        list.data[list.len - 5] = list.data[list.len - 1] = (uint8_t)(' ' + c);
    }
    struct message message = {0};
    assert_int_equal(read_headers(buffer_bytes(&list), &arena, &message), STATUS_OK);
    assert_int_equal(message.header_count, 100);
    for (char c = 0; c < 100; c++) {
        assert_text(message.headers[(size_t)c].name, (char[]){'h', (char)(' ' + c), '\0'});
        assert_text(message.headers[(size_t)c].value, (char[]){'v', (char)(' ' + c), '\0'});
    }
    buffer_done(&list);
}

static void test_decode__raw_value_wins_over_value(void **state) {
    (void)state;
    struct message message;
    assert_int_equal(DECODE("\x12\x0d\x0a\x0b\x0a\x09\x0a\x01"
                            "a\x12\x01"
                            "b\x1a\x01"
                            "c",
                            &message),
                     STATUS_OK);
    assert_text(message.headers[0].value, "c");
}

// The library sees the list of headers as bytes.
static void test_decode__reads_headers_as_strictly_as_the_rest(void **state) {
    (void)state;
    struct message message;
    // Unknown: fields 4 (fixed64) and 5 (fixed32) of a header, 2 (a number) of the list.
    assert_int_equal(DECODE("\x12\x17\x0a\x15\x0a\x11\x0a\x01"
                            "a\x21"
                            "12345678"
                            "\x2d"
                            "1234"
                            "\x10\x07",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.header_count, 1);
    assert_text(message.headers[0].name, "a");
    message.header_count = 77;
    assert_int_equal(DECODE("\x12\x04\x0a\x02\x0a\x01", &message), STATUS_MALFORMED);
    assert_int_equal(DECODE("\x12\x06\x0a\x04\x0a\x02\x0a\x01", &message), STATUS_MALFORMED);
    assert_int_equal(DECODE("\x12\x06\x0a\x04\x0a\x02\x0f\x01", &message), STATUS_MALFORMED);
    assert_int_equal(message.header_count, 77);  // untouched
}

static void test_decode__reads_how_the_filter_is_configured(void **state) {
    (void)state;
    struct message message;
    assert_int_equal(DECODE("\x12\x00\x50\x01\x5a\x04\x08\x02\x10\x01", &message), STATUS_OK);
    assert_true(message.is_observed);
    assert_true(message.has_modes);
    assert_int_equal(message.modes.request_body, MESSAGE_BODY_BUFFERED);
    assert_int_equal(message.modes.response_body, MESSAGE_BODY_STREAMED);
    assert_false(message.modes.sends_body_early);
    assert_int_equal(DECODE("\x12\x00\x5a\x04\x08\x01\x18\x01", &message), STATUS_OK);
    assert_true(message.modes.sends_body_early);
    assert_int_equal(DECODE("\x12\x00\x5a\x00", &message), STATUS_OK);
    assert_true(message.has_modes);
    assert_int_equal(message.modes.request_body, MESSAGE_BODY_NONE);
}

// Attributes: map entry {key "f", value Struct{fields: entry {key K, value string "v"}}}.
static void test_decode__knows_the_filter_behind_the_router_by_its_attributes(void **state) {
    (void)state;
    struct message message;
    assert_int_equal(DECODE("\x12\x00\x4a\x1f\x0a\x01"
                            "f\x12\x1a\x0a\x18\x0a\x11"
                            "xds.upstream_host"
                            "\x12\x03\x1a\x01v",
                            &message),
                     STATUS_OK);
    assert_true(message.is_from_upstream_filter);
    assert_int_equal(DECODE("\x12\x00\x4a\x1f\x0a\x01"
                            "f\x12\x1a\x0a\x18\x0a\x11"
                            "request.user-host"
                            "\x12\x03\x1a\x01v",
                            &message),
                     STATUS_OK);
    assert_false(message.is_from_upstream_filter);
    // The value does not count, only the key.
    assert_int_equal(DECODE("\x12\x00\x4a\x20\x0a\x01"
                            "f\x12\x1b\x0a\x19\x0a\x02"
                            "ab"
                            "\x12\x13\x1a\x11xds.upstream_host",
                            &message),
                     STATUS_OK);
    assert_false(message.is_from_upstream_filter);
}

static void test_decode__reads_the_name_of_the_route(void **state) {
    (void)state;
    struct message message;
    assert_int_equal(DECODE("\x12\x00\x4a\x1d\x0a\x01"
                            "f\x12\x18\x0a\x16\x0a\x0e"
                            "xds.route_name"
                            "\x12\x04\x1a\x02r1",
                            &message),
                     STATUS_OK);
    assert_true(bytes_equal(message.route, BYTES_LITERAL("r1")));
    assert_false(message.is_from_upstream_filter);
    // The gateway's name, which its filter behind the router is sent.
    assert_int_equal(
        DECODE("\x12\x00\x4a\x5a\x0a\x01"
               "f\x12\x55\x0a\x53\x0a\x4b"
               "xds.route_metadata.filter_metadata['aigateway.envoy.io']['aigw_route_name']"
               "\x12\x04\x1a\x02r2",
               &message),
        STATUS_OK);
    assert_true(bytes_equal(message.route, BYTES_LITERAL("r2")));
    // A name that is no text, none at all, and another's.
    assert_int_equal(DECODE("\x12\x00\x4a\x1b\x0a\x01"
                            "f\x12\x16\x0a\x14\x0a\x0e"
                            "xds.route_name"
                            "\x12\x02\x20\x01",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.route.len, 0);
    assert_int_equal(DECODE("\x12\x00\x4a\x17\x0a\x01"
                            "f\x12\x12\x0a\x10\x0a\x0e"
                            "xds.route_name",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.route.len, 0);
    assert_int_equal(DECODE("\x12\x00\x4a\x1e\x0a\x01"
                            "f\x12\x19\x0a\x17\x0a\x0f"
                            "xds.route_names"
                            "\x12\x04\x1a\x02r1",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.route.len, 0);
}

// Request headers of a filter in these modes, with one attribute; key NULL: with none of those that
// it asks for.
static void decode_attribute(const char *key, const char *value, uint32_t body_mode,
                             struct message *ret_message) {
    ExtProc__AttributeValue text = EXT_PROC__ATTRIBUTE_VALUE__INIT;
    ExtProc__AttributeEntry entry = EXT_PROC__ATTRIBUTE_ENTRY__INIT, *entries[] = {&entry};
    ExtProc__AttributeStruct fields = EXT_PROC__ATTRIBUTE_STRUCT__INIT;
    ExtProc__Attributes attribute = EXT_PROC__ATTRIBUTES__INIT, *list[] = {&attribute};
    ExtProc__ProtocolConfiguration modes = EXT_PROC__PROTOCOL_CONFIGURATION__INIT;
    ExtProc__ProcessingRequest request = EXT_PROC__PROCESSING_REQUEST__INIT;
    ExtProc__HttpHeaders headers = EXT_PROC__HTTP_HEADERS__INIT;
    static uint8_t bytes[512];
    if (key != NULL) {
        entry.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
        text.string_value = (ProtobufCBinaryData){strlen(value), (uint8_t *)(uintptr_t)value};
        entry.value = &text;
        fields.fields = entries;
        fields.n_fields = 1;
    }
    attribute.value = &fields;
    modes.request_body_mode = modes.response_body_mode = body_mode;
    request.attributes = list;
    request.n_attributes = 1;
    request.protocol_config = &modes;
    request.request_case = EXT_PROC__PROCESSING_REQUEST__REQUEST_REQUEST_HEADERS;
    request.request_headers = &headers;
    size_t length = ext_proc__processing_request__pack(&request, bytes);
    assert_true(length <= sizeof(bytes));
    assert_int_equal(message_decode(bytes_of(bytes, length), &arena, ret_message), STATUS_OK);
}

#define BACKEND_OF(what)                                                                           \
    "xds." what ".filter_metadata['aigateway.envoy.io']['per_route_rule_backend_name']"

static void test_decode__the_backend_has_a_name_of_its_host_or_cluster(void **state) {
    (void)state;
    struct message message;
    static const char *const keys[] = {BACKEND_OF("upstream_host_metadata"),
                                       BACKEND_OF("cluster_metadata")};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        decode_attribute(keys[i], "ns/b", MESSAGE_BODY_BUFFERED, &message);
        assert_text(message.backend, "ns/b");
        assert_true(message.is_from_upstream_filter);
    }
    decode_attribute("xds.cluster_name", "c", MESSAGE_BODY_NONE, &message);
    assert_int_equal(message.backend.len, 0);
    assert_false(message.is_from_upstream_filter);
}

// Would catch: our headers removed behind the router, where nobody has set the attributes.
static void test_decode__a_filter_that_gets_nothing_is_behind_the_router(void **state) {
    (void)state;
    struct message message;
    decode_attribute(NULL, NULL, MESSAGE_BODY_NONE, &message);
    assert_true(message.is_from_upstream_filter);
    decode_attribute(NULL, NULL, MESSAGE_BODY_BUFFERED, &message);
    assert_false(message.is_from_upstream_filter);
}

static void test_decode__skips_what_it_does_not_know(void **state) {
    (void)state;
    struct message message;
    // Fields 100 (varint), 101 (fixed64), 102 (bytes), 103 (fixed32), inside and outside.
    assert_int_equal(DECODE("\xa0\x06\x07\xa9\x06"
                            "12345678"
                            "\xb2\x06\x02xy\xbd\x06"
                            "1234"
                            "\x22\x08\x0a\x03{}\n\xa0\x06\x07",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.kind, MESSAGE_REQUEST_BODY);
    assert_text(message.body, "{}\n");
}

static void test_decode__tells_an_unknown_kind_from_a_broken_message(void **state) {
    (void)state;
    struct message message = {.header_count = 77};
    assert_int_equal(DECODE("", &message), STATUS_UNSUPPORTED);
    assert_int_equal(DECODE("\x42\x00", &message), STATUS_UNSUPPORTED);
    assert_int_equal(DECODE("\xff", &message), STATUS_MALFORMED);
    assert_int_equal(DECODE("\x12\x05\x0a", &message), STATUS_MALFORMED);
    assert_int_equal(DECODE("\x10\x01", &message), STATUS_MALFORMED);  // a number for headers
    assert_int_equal(message.header_count, 77);                        // untouched
}

// Every proper start of a message is another message or none, never an overrun (sanitizers look).
static void test_decode__survives_a_cut_at_every_byte(void **state) {
    (void)state;
    static const char whole[] = "\x12\x12\x0a\x0e\x0a\x0c\x0a\x05:path\x1a\x03/v1\x18\x01\x42\x00"
                                "\x50\x01\x5a\x04\x08\x02\x10\x01";
    for (size_t length = 0; length < sizeof(whole); length++) {
        char *cut = malloc(length + 1);  // exactly as long, for the sanitizer
        assert_non_null(cut);
        memcpy(cut, whole, length);
        struct message message;
        enum status status = decode(cut, length, &message);
        if (status == STATUS_OK) assert_int_equal(message.kind, MESSAGE_REQUEST_HEADERS);
        free(cut);
        arena_reset(&arena);
    }
}

static void test_decode__a_repeated_part_is_merged_or_replaced(void **state) {
    (void)state;
    struct message message;
    assert_int_equal(DECODE("\x22\x03\x0a\x01"
                            "a\x22\x05\x0a\x01"
                            "b\x10\x01",
                            &message),
                     STATUS_OK);
    assert_text(message.body, "b");
    assert_int_equal(DECODE("\x22\x03\x0a\x01"
                            "a\x2a\x03\x0a\x01"
                            "b",
                            &message),
                     STATUS_OK);
    assert_int_equal(message.kind, MESSAGE_RESPONSE_BODY);
}

// Each allocation fails once: by a limit that ends in the middle of them. Attributes are what takes
// the library, which makes most of them.
static void test_decode__reports_every_failed_allocation(void **state) {
    (void)state;
    static const char whole[] = "\x12\x17\x0a\x13\x0a\x0c\x0a\x05:path\x1a\x03/v1\x0a\x03\x0a\x01"
                                "a\x18\x01\x42\x00\x50\x01\x5a\x04\x08\x02\x10\x01\x4a\x00";
    size_t failures = 0;
    for (size_t bytes = 0;; bytes += 16) {
        struct arena small;
        struct message message;
        arena_init(&small, room, bytes, 0);
        enum status status = message_decode(bytes_of(whole, sizeof(whole) - 1), &small, &message);
        arena_reset(&small);
        if (status == STATUS_OK) break;
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_true(bytes < sizeof(room));
        failures++;
    }
    assert_true(failures > 10);
    struct arena none;
    struct message message;
    arena_init(&none, NULL, 0, 0);
    assert_int_equal(message_decode(bytes_of(whole, sizeof(whole) - 3), &none, &message),
                     STATUS_NO_MEMORY);
}
