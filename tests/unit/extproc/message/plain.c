// SPDX-License-Identifier: Apache-2.0
#include "extproc/message/plain.c"

#include <stdlib.h>

static struct message message;
static struct bytes headers;

// What is borrowed lies in `bytes`, which is read only as far as it goes.
static bool decode(const char *bytes, size_t length) {
    char *exact = malloc(length + (length == 0));  // for the sanitizer
    assert_non_null(exact);
    memcpy(exact, bytes, length);
    bool is_plain = plain_decode(bytes_of(exact, length), &message, &headers);
    if (is_plain && message.body.len != 0) {
        message.body.data = (const uint8_t *)bytes + (message.body.data - (uint8_t *)exact);
    }
    if (is_plain && headers.len != 0) {
        headers.data = (const uint8_t *)bytes + (headers.data - (uint8_t *)exact);
    }
    free(exact);
    return is_plain;
}

#define DECODE(literal) decode((literal), sizeof(literal) - 1)

static void test_plain__reads_bodies_without_a_copy(void **state) {
    (void)state;
    const char whole[] = "\x2a\x08\x0a\x04"
                         "data"
                         "\x10\x01\x42\x00";
    assert_true(DECODE(whole));
    assert_int_equal(message.kind, MESSAGE_RESPONSE_BODY);
    assert_true(message.end_of_stream);
    assert_ptr_equal(message.body.data, whole + 4);
    assert_int_equal(message.body.len, 4);
    assert_true(DECODE("\x22\x00\x50\x01"));
    assert_int_equal(message.kind, MESSAGE_REQUEST_BODY);
    assert_false(message.end_of_stream);
    assert_true(message.is_observed);
    assert_int_equal(message.body.len, 0);
}

static void test_plain__reads_headers_and_modes(void **state) {
    (void)state;
    const char first[] = "\x12\x05\x0a\x01m\x18\x01\x5a\x06\x08\x02\x10\x84\x00\x18\x01";
    assert_false(DECODE(first));  // one byte more than the modes have
    const char second[] = "\x12\x05\x0a\x01m\x18\x01\x5a\x07\x08\x02\x10\x84\x00\x18\x01";
    assert_true(DECODE(second));
    assert_int_equal(message.kind, MESSAGE_REQUEST_HEADERS);
    assert_true(message.end_of_stream);
    assert_ptr_equal(headers.data, second + 4);
    assert_int_equal(headers.len, 1);
    assert_true(message.has_modes);
    assert_int_equal(message.modes.request_body, MESSAGE_BODY_BUFFERED);
    assert_int_equal(message.modes.response_body, MESSAGE_BODY_FULL_DUPLEX);
    assert_true(message.modes.sends_body_early);
    assert_true(DECODE("\x1a\x00"));
    assert_int_equal(message.kind, MESSAGE_RESPONSE_HEADERS);
    assert_int_equal(headers.len, 0);
    assert_false(message.has_modes);
}

// Would catch: a message that means more than was looked at.
static void test_plain__leaves_everything_else_to_the_library(void **state) {
    (void)state;
    static const struct {
        size_t length;
        const char *bytes;
    } others[] = {
        {0, ""},
        {2, "\x32\x00"},                  // trailers
        {4, "\x22\x00\x4a\x00"},          // with attributes
        {4, "\x22\x00\x22\x00"},          // twice
        {4, "\x12\x00\x22\x00"},          // two kinds
        {6, "\x22\x00\x5a\x00\x5a\x00"},  // modes twice
        {4, "\x22\x02\x20\x01"},          // an unknown field in it
        {4, "\x12\x02\x10\x01"},
        {6, "\x22\x00\x5a\x02\x20\x01"},
        {6, "\x12\x04\x0a\x00\x0a\x00"},                   // two maps of headers
        {3, "\x22\x02\x0a"},                               // cut
        {4, "\x22\x02\x0a\x05"},                           // a body that is longer than its message
        {3, "\x20\x01\x42"},                               // a number for a body
        {10, "\x22\x00\x5a\x06\x08\x80\x80\x80\x80\x10"},  // a mode past 32 bits
        {11, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"},
        {2, "\x42\x00"},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (decode(others[i].bytes, others[i].length)) fail_msg("number %zu was taken", i);
    }
}

// The short way and the long one are the same where both can be gone.
static void test_plain__fields_have_one_end(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0x0a, 2, 'a', 'b', 0x8a, 0x00, 0x81, 0x00, 'c', 0x0a};
    struct bytes from = bytes_of(bytes, sizeof(bytes));
    struct wire_field field;
    assert_true(wire_read_field(&from, &field));
    assert_int_equal(field.tag, WIRE_TAG(1, WIRE_LENGTH));
    assert_memory_equal(field.bytes.data, "ab", 2);
    assert_true(wire_read_field(&from, &field));
    assert_int_equal(field.tag, WIRE_TAG(1, WIRE_LENGTH));
    assert_int_equal(field.bytes.len, 1);
    assert_int_equal(from.len, 1);
    assert_false(wire_read_field(&from, &field));
    from = bytes_of("\x0a\x02x", 3);
    assert_false(wire_read_field(&from, &field));
}
