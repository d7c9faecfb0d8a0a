// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/protobuf.c"

static struct protobuf writer;

static int setup(void **state) {
    (void)state;
    writer = (struct protobuf){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buffer_done(&writer.buffer);
    return 0;
}

// What was written is these bytes; then the writer is empty again.
#define ASSERT_WRITTEN(...)                                                                        \
    do {                                                                                           \
        static const uint8_t expected[] = {__VA_ARGS__};                                           \
        assert_int_equal(writer.status, STATUS_OK);                                                \
        assert_int_equal(writer.buffer.len, sizeof expected);                                      \
        assert_memory_equal(writer.buffer.data, expected, sizeof expected);                        \
        writer.buffer.len = 0;                                                                     \
    } while (0)

// The worked examples of the specification, and the edges of each length of a varint.
static void test_protobuf__numbers_are_varints_of_seven_bits_lowest_first(void **state) {
    (void)state;
    protobuf_write_uint64(&writer, 1, 150);
    ASSERT_WRITTEN(0x08, 0x96, 0x01);
    protobuf_write_uint64(&writer, 1, 1);
    ASSERT_WRITTEN(0x08, 0x01);
    protobuf_write_uint64(&writer, 1, 127);
    ASSERT_WRITTEN(0x08, 0x7f);
    protobuf_write_uint64(&writer, 1, 128);
    ASSERT_WRITTEN(0x08, 0x80, 0x01);
    protobuf_write_uint64(&writer, 1, 16383);
    ASSERT_WRITTEN(0x08, 0xff, 0x7f);
    protobuf_write_uint64(&writer, 1, 16384);
    ASSERT_WRITTEN(0x08, 0x80, 0x80, 0x01);
    protobuf_write_uint64(&writer, 1, UINT64_C(1) << 35);
    ASSERT_WRITTEN(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
    protobuf_write_uint64(&writer, 1, UINT64_C(1) << 63);
    ASSERT_WRITTEN(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
    protobuf_write_uint64(&writer, 1, UINT64_MAX);
    ASSERT_WRITTEN(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
}

// Would catch: zigzag, or a sign cut to 32 bits.
static void test_protobuf__a_negative_int64_takes_ten_bytes(void **state) {
    (void)state;
    protobuf_write_int64(&writer, 2, -1);
    ASSERT_WRITTEN(0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    protobuf_write_int64(&writer, 2, INT64_MIN);
    ASSERT_WRITTEN(0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
    protobuf_write_int64(&writer, 2, -2);
    ASSERT_WRITTEN(0x10, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
}

static void test_protobuf__zero_is_left_out(void **state) {
    (void)state;
    protobuf_write_uint64(&writer, 1, 0);
    protobuf_write_int64(&writer, 2, 0);
    protobuf_write_bool(&writer, 3, false);
    protobuf_write_packed(&writer, 4, NULL, 0);
    assert_int_equal(writer.buffer.len, 0);
    protobuf_write_bool(&writer, 3, true);
    ASSERT_WRITTEN(0x18, 0x01);
}

// The string table's first entry depends on it.
static void test_protobuf__bytes_are_written_also_when_empty(void **state) {
    (void)state;
    protobuf_write_bytes(&writer, 6, BYTES_EMPTY);
    ASSERT_WRITTEN(0x32, 0x00);
    protobuf_write_bytes(&writer, 2, BYTES_LITERAL("testing"));
    ASSERT_WRITTEN(0x12, 0x07, 't', 'e', 's', 't', 'i', 'n', 'g');
}

static void test_protobuf__a_long_field_has_a_length_of_two_bytes(void **state) {
    (void)state;
    uint8_t text[300];
    memset(text, 'x', sizeof text);
    protobuf_write_bytes(&writer, 1, bytes_of(text, sizeof text));
    assert_int_equal(writer.buffer.len, 3 + sizeof text);
    writer.buffer.len = 3;
    ASSERT_WRITTEN(0x0a, 0xac, 0x02);
}

static void test_protobuf__a_field_number_over_15_has_a_tag_of_two_bytes(void **state) {
    (void)state;
    protobuf_write_uint64(&writer, 15, 1);
    ASSERT_WRITTEN(0x78, 0x01);
    protobuf_write_uint64(&writer, 16, 1);
    ASSERT_WRITTEN(0x80, 0x01, 0x01);
    protobuf_write_uint64(&writer, 536870911, 1);
    ASSERT_WRITTEN(0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01);
}

// Would catch: a length that counts numbers instead of bytes, and a zero left out of the middle.
static void test_protobuf__packed_numbers_keep_their_zeros(void **state) {
    (void)state;
    static const uint64_t numbers[] = {3, 270, 86942};
    protobuf_write_packed(&writer, 4, numbers, 3);
    ASSERT_WRITTEN(0x22, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05);
    static const uint64_t edges[] = {0, UINT64_MAX, 0};
    protobuf_write_packed(&writer, 2, edges, 3);
    ASSERT_WRITTEN(0x12, 0x0c, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
                   0x00);
}

// Would catch: a later success that hides an earlier loss.
static void test_protobuf__the_first_failure_stays(void **state) {
    (void)state;
    writer.buffer.limit = 4;
    protobuf_write_uint64(&writer, 1, 1);
    assert_int_equal(writer.status, STATUS_OK);
    protobuf_write_bytes(&writer, 2, BYTES_LITERAL("too long"));
    assert_int_equal(writer.status, STATUS_TOO_LARGE);
    size_t len = writer.buffer.len;
    writer.buffer.limit = 100;
    protobuf_write_uint64(&writer, 1, 1);
    assert_int_equal(writer.status, STATUS_TOO_LARGE);
    assert_int_equal(writer.buffer.len, len);
}
