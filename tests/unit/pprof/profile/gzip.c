// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/gzip.c"

#include "tests/unit/pprof/reader.h"

// Bytes that compress badly (`is_noise`) or well.
static void fill(uint8_t *bytes, size_t len, bool is_noise) {
    uint32_t word = 12345;
    for (size_t i = 0; i < len; i++) {
        word = word * 1664525 + 1013904223;
        bytes[i] = is_noise ? (uint8_t)(word >> 24) : (uint8_t)(i / 100);
    }
}

static void compress_in_pieces(struct bytes bytes, size_t piece, struct buffer *out) {
    struct gzip gzip;
    assert_int_equal(gzip_init(&gzip, out), STATUS_OK);
    while (bytes.len != 0) {
        size_t len = bytes.len < piece ? bytes.len : piece;
        assert_int_equal(gzip_write(&gzip, bytes_of(bytes.data, len)), STATUS_OK);
        bytes = bytes_of(bytes.data + len, bytes.len - len);
    }
    assert_int_equal(gzip_finish(&gzip), STATUS_OK);
    gzip_done(&gzip);
}

// Would catch: output lost or doubled where a piece of the room is exactly full, at the start, in
// the middle or at the end.
static void test_gzip__what_goes_in_comes_out_at_any_size(void **state) {
    (void)state;
    static uint8_t bytes[300000];
    static const size_t sizes[] = {0,     1,     2,     100,   16383,  16384, 16385,
                                   32768, 65535, 65536, 99999, 131072, 300000};
    static const size_t pieces[] = {1 << 20, 16 << 10, 1000};
    for (int is_noise = 0; is_noise < 2; is_noise++) {
        fill(bytes, sizeof bytes, is_noise);
        for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(pieces); i++) {
            size_t size = sizes[i / COUNT_OF(pieces)];
            struct buffer packed = {0};
            struct buffer whole = {0};
            compress_in_pieces(bytes_of(bytes, size), pieces[i % COUNT_OF(pieces)], &packed);
            reader_unpack(buffer_bytes(&packed), &whole);
            assert_int_equal(whole.len, size);
            if (size != 0) assert_memory_equal(whole.data, bytes, size);
            buffer_done(&packed);
            buffer_done(&whole);
        }
    }
}

// Noise grows by a few bytes, so every length of output around one room's size is met.
static void test_gzip__the_end_may_fall_on_the_end_of_a_room(void **state) {
    (void)state;
    static uint8_t bytes[17000];
    fill(bytes, sizeof bytes, true);
    for (size_t size = ROOM_BYTES - 60; size < ROOM_BYTES + 20; size++) {
        struct buffer packed = {0};
        struct buffer whole = {0};
        compress_in_pieces(bytes_of(bytes, size), size, &packed);
        reader_unpack(buffer_bytes(&packed), &whole);
        assert_int_equal(whole.len, size);
        assert_memory_equal(whole.data, bytes, size);
        buffer_done(&packed);
        buffer_done(&whole);
    }
}

// RFC 1952 section 2.3: magic, deflate, no flags, no time (so that equal profiles are equal bytes),
// fastest.
static void test_gzip__the_head_is_go_s_but_for_the_system(void **state) {
    (void)state;
    struct buffer packed = {0};
    compress_in_pieces(BYTES_LITERAL("abc"), 3, &packed);
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4};
    assert_true(packed.len > sizeof head);
    assert_memory_equal(packed.data, head, sizeof head);
    buffer_done(&packed);
}

static void test_gzip__it_is_appended(void **state) {
    (void)state;
    struct buffer packed = {0};
    assert_int_equal(buffer_append_text(&packed, "head"), STATUS_OK);
    compress_in_pieces(BYTES_LITERAL("abc"), 3, &packed);
    assert_memory_equal(packed.data, "head\x1f\x8b", 6);
    buffer_done(&packed);
}

static void test_gzip__a_full_buffer_is_told(void **state) {
    (void)state;
    static uint8_t bytes[100000];
    fill(bytes, sizeof bytes, true);
    struct buffer packed = {.limit = 40000};
    struct gzip gzip;
    assert_int_equal(gzip_init(&gzip, &packed), STATUS_OK);
    enum status status = gzip_write(&gzip, bytes_of(bytes, sizeof bytes));
    if (status == STATUS_OK) status = gzip_finish(&gzip);
    assert_int_equal(status, STATUS_TOO_LARGE);
    assert_in_range(packed.len, 0, 40000);
    gzip_done(&gzip);
    buffer_done(&packed);
}

static voidpf allocate_nothing(voidpf context, uInt count, uInt size) {
    (void)context;
    (void)count;
    (void)size;
    return Z_NULL;
}

static void test_gzip__done_is_harmless_after_an_init_without_memory(void **state) {
    (void)state;
    struct buffer packed = {0};
    struct gzip gzip = {.out = &packed, .stream.zalloc = allocate_nothing};
    assert_int_not_equal(deflateInit2(&gzip.stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS,
                                      MEMORY_LEVEL, Z_DEFAULT_STRATEGY),
                         Z_OK);
    gzip_done(&gzip);
}
