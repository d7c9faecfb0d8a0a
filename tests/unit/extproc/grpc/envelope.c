// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/envelope.c"

enum { MESSAGE_MOST = 4 << 20 };

static struct budget budget;
static struct envelope_reader reader;

static int setup(void **state) {
    (void)state;
    budget = (struct budget){0};
    reader = (struct envelope_reader){.message_most_bytes = MESSAGE_MOST, .budget = &budget};
    return 0;
}

// Whatever a test did, all memory is given back.
static int teardown(void **state) {
    (void)state;
    envelope_done(&reader);
    return budget.used == 0 ? 0 : -1;
}

static void append_message(struct buffer *stream, struct bytes message) {
    uint8_t prefix[ENVELOPE_PREFIX_BYTES];
    envelope_write_prefix(prefix, (uint32_t)message.len);
    assert_int_equal(buffer_append(stream, bytes_of(prefix, sizeof(prefix))), STATUS_OK);
    assert_int_equal(buffer_append(stream, message), STATUS_OK);
}

// Gives the reader one piece and collects the messages that come out, '|' behind each.
static void read_piece(struct bytes piece, struct buffer *found) {
    struct bytes message;
    enum status status;
    while ((status = envelope_read(&reader, &piece, &message)) == STATUS_OK) {
        assert_int_equal(buffer_append(found, message), STATUS_OK);
        assert_int_equal(buffer_append_byte(found, '|'), STATUS_OK);
    }
    assert_int_equal(status, STATUS_TRUNCATED);
    assert_int_equal(piece.len, 0);
}

static void assert_found(const char *expected, struct buffer *found) {
    assert_int_equal(found->len, strlen(expected));
    assert_memory_equal(found->data, expected, found->len);
    buffer_done(found);
}

static void test_envelope__finds_the_same_messages_wherever_the_bytes_are_cut_twice(void **state) {
    (void)state;
    struct buffer stream = {0};
    append_message(&stream, BYTES_LITERAL("one"));
    append_message(&stream, BYTES_EMPTY);
    append_message(&stream, BYTES_LITERAL("three is longer"));
    for (size_t first = 0; first <= stream.len; first++) {
        for (size_t second = first; second <= stream.len; second++) {
            struct buffer found = {0};
            read_piece(bytes_of(stream.data, first), &found);
            read_piece(bytes_of(stream.data + first, second - first), &found);
            read_piece(bytes_of(stream.data + second, stream.len - second), &found);
            assert_found("one||three is longer|", &found);
            assert_true(envelope_is_between(&reader));
        }
    }
    buffer_done(&stream);
}

static void test_envelope__borrows_a_message_that_comes_whole(void **state) {
    (void)state;
    const uint8_t stream[] = {0, 0, 0, 0, 2, 'h', 'i', 0, 0};
    struct bytes input = bytes_of(stream, sizeof(stream)), message;
    assert_int_equal(envelope_read(&reader, &input, &message), STATUS_OK);
    assert_ptr_equal(message.data, stream + ENVELOPE_PREFIX_BYTES);
    assert_int_equal(message.len, 2);
    assert_int_equal(budget.used, 0);
}

static void test_envelope__knows_whether_a_message_is_cut(void **state) {
    (void)state;
    const uint8_t stream[] = {0, 0, 0, 0, 2, 'h', 'i'};
    assert_true(envelope_is_between(&reader));
    for (size_t i = 0; i < sizeof(stream); i++) {
        struct bytes one = bytes_of(stream + i, 1), message;
        enum status status = envelope_read(&reader, &one, &message);
        bool is_last = i == sizeof(stream) - 1;
        assert_int_equal(status, is_last ? STATUS_OK : STATUS_TRUNCATED);
        assert_int_equal(envelope_is_between(&reader), is_last);
    }
}

static enum status read_prefix_of(uint8_t flag, uint32_t len) {
    uint8_t prefix[ENVELOPE_PREFIX_BYTES];
    envelope_write_prefix(prefix, len);
    prefix[0] = flag;
    struct bytes input = bytes_of(prefix, sizeof(prefix)), message;
    enum status status = envelope_read(&reader, &input, &message);
    envelope_done(&reader);
    return status;
}

static void test_envelope__refuses_by_the_prefix_alone(void **state) {
    (void)state;
    assert_int_equal(read_prefix_of(0, MESSAGE_MOST), STATUS_TRUNCATED);
    assert_int_equal(read_prefix_of(0, MESSAGE_MOST + 1), STATUS_TOO_LARGE);
    assert_int_equal(read_prefix_of(0, UINT32_MAX), STATUS_TOO_LARGE);
    assert_int_equal(read_prefix_of(1, 3), STATUS_UNSUPPORTED);
    assert_int_equal(read_prefix_of(2, 3), STATUS_MALFORMED);
    assert_int_equal(read_prefix_of(0x80, 3), STATUS_MALFORMED);
}

// Who announces 4 MiB and sends 1 byte has not taken 4 MiB.
static void test_envelope__makes_room_only_as_a_long_message_arrives(void **state) {
    (void)state;
    uint8_t *piece = calloc(1, MESSAGE_MOST);
    struct bytes message = bytes_of(piece, MESSAGE_MOST), got;
    uint8_t prefix[ENVELOPE_PREFIX_BYTES + 1] = {0};
    envelope_write_prefix(prefix, MESSAGE_MOST);
    struct bytes input = bytes_of(prefix, sizeof(prefix));
    assert_int_equal(envelope_read(&reader, &input, &got), STATUS_TRUNCATED);
    assert_int_equal(budget.used, FIRST_ROOM_BYTES);
    input = bytes_of(message.data, FIRST_ROOM_BYTES);
    assert_int_equal(envelope_read(&reader, &input, &got), STATUS_TRUNCATED);
    assert_int_equal(budget.used, MESSAGE_MOST);
    input = bytes_of(message.data, MESSAGE_MOST - FIRST_ROOM_BYTES - 1);
    assert_int_equal(envelope_read(&reader, &input, &got), STATUS_OK);
    assert_int_equal(got.len, MESSAGE_MOST);
    assert_int_equal(budget.used, MESSAGE_MOST);
    // The next call lets the memory go: an idle stream holds none.
    assert_int_equal(envelope_read(&reader, &input, &got), STATUS_TRUNCATED);
    assert_int_equal(budget.used, 0);
    free(piece);
}

static void test_envelope__takes_no_more_for_a_short_message_than_it_is_long(void **state) {
    (void)state;
    const uint8_t stream[] = {0, 0, 0, 1, 0, 'x'};
    struct bytes input = bytes_of(stream, sizeof(stream)), message;
    assert_int_equal(envelope_read(&reader, &input, &message), STATUS_TRUNCATED);
    assert_int_equal(budget.used, 256);
}

// Up to twice the limit, and while it is past it nobody else gets any.
static void test_envelope__takes_what_is_owed_past_the_limit(void **state) {
    (void)state;
    budget.most = 300;
    const uint8_t stream[] = {0, 0, 0, 1, 0, 'x'};
    struct envelope_reader owed[3] = {reader, reader, reader};
    struct bytes message;
    for (size_t i = 0; i < COUNT_OF(owed); i++) {
        struct bytes input = bytes_of(stream, sizeof(stream));
        owed[i].is_owed = true;
        assert_int_equal(envelope_read(&owed[i], &input, &message),
                         i < 2 ? STATUS_TRUNCATED : STATUS_NO_MEMORY);
    }
    assert_int_equal(budget.used, 512);
    struct bytes input = bytes_of(stream, sizeof(stream));
    assert_int_equal(envelope_read(&reader, &input, &message), STATUS_NO_MEMORY);
    for (size_t i = 0; i < COUNT_OF(owed); i++) envelope_done(&owed[i]);
}

static void test_envelope__stops_where_the_budget_of_all_ends(void **state) {
    (void)state;
    budget.most = 300;
    const uint8_t stream[] = {0, 0, 0, 1, 0, 'x'};
    struct envelope_reader other = reader;
    struct bytes input = bytes_of(stream, sizeof(stream)), message;
    assert_int_equal(envelope_read(&reader, &input, &message), STATUS_TRUNCATED);
    input = bytes_of(stream, sizeof(stream));
    assert_int_equal(envelope_read(&other, &input, &message), STATUS_NO_MEMORY);
    assert_int_equal(budget.used, 256);
    envelope_done(&reader);
    envelope_done(&other);
    input = bytes_of(stream, sizeof(stream));
    assert_int_equal(envelope_read(&other, &input, &message), STATUS_TRUNCATED);
    envelope_done(&other);
}
