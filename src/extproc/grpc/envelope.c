// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/envelope.h"

#include <stdlib.h>

// A peer that announces much and sends little gets little. Behind it comes room for the rest at
// once: what does not fit is refused before most of it came, and nothing is copied twice.
enum { FIRST_ROOM_BYTES = 1 << 20 };

static struct bytes take(struct bytes *input, size_t most) {
    struct bytes taken = {input->data, input->len < most ? input->len : most};
    if (taken.len != 0) input->data += taken.len;
    input->len -= taken.len;
    return taken;
}

static enum status read_prefix(struct envelope_reader *reader, struct bytes *input) {
    struct bytes piece = take(input, ENVELOPE_PREFIX_BYTES - reader->prefix_len);
    const uint8_t *prefix = piece.data;
    if (UNLIKELY(piece.len != ENVELOPE_PREFIX_BYTES)) {
        if (piece.len != 0) memcpy(reader->prefix + reader->prefix_len, piece.data, piece.len);
        prefix = reader->prefix;
    }
    reader->prefix_len += piece.len;
    if (reader->prefix_len < ENVELOPE_PREFIX_BYTES) return STATUS_TRUNCATED;

    if (prefix[0] > 1) return STATUS_MALFORMED;
    if (prefix[0] == 1) return STATUS_UNSUPPORTED;
    reader->message_len = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 |
                          (size_t)prefix[3] << 8 | (size_t)prefix[4];
    return reader->message_len <= reader->message_most_bytes ? STATUS_OK : STATUS_TOO_LARGE;
}

// Room for `extra` bytes behind `partial_len`.
static enum status make_room(struct envelope_reader *reader, size_t extra) {
    size_t wanted = reader->partial_len + extra;
    size_t before = reader->partial_capacity;
    if (wanted <= before) return STATUS_OK;
    bool is_little = wanted <= FIRST_ROOM_BYTES && reader->message_len > FIRST_ROOM_BYTES;
    size_t capacity = is_little ? FIRST_ROOM_BYTES : reader->message_len;

    bool has_place = reader->is_owed ? budget_take_owed(reader->budget, capacity - before)
                                     : budget_take(reader->budget, capacity - before);
    if (!has_place) return STATUS_NO_MEMORY;
    uint8_t *partial = realloc(reader->partial, capacity);
    if (partial == NULL) {
        budget_give(reader->budget, capacity - before);
        return STATUS_NO_MEMORY;
    }
    reader->partial = partial;
    reader->partial_capacity = capacity;
    return STATUS_OK;
}

void envelope_done(struct envelope_reader *reader) {
    if (reader->partial != NULL) {
        budget_give(reader->budget, reader->partial_capacity);
        free(reader->partial);
        reader->partial = NULL;
        reader->partial_len = 0;
        reader->partial_capacity = 0;
    }
    reader->prefix_len = 0;
    reader->is_handed_out = false;
}

enum status envelope_read(struct envelope_reader *reader, struct bytes *input,
                          struct bytes *ret_message) {
    if (reader->is_handed_out) envelope_done(reader);
    if (reader->prefix_len < ENVELOPE_PREFIX_BYTES) {
        enum status status = read_prefix(reader, input);
        if (status != STATUS_OK) return status;
    }

    struct bytes piece = take(input, reader->message_len - reader->partial_len);
    if (piece.len == reader->message_len) {
        *ret_message = piece;
        reader->is_handed_out = true;
        return STATUS_OK;
    }
    if (piece.len == 0) return STATUS_TRUNCATED;

    enum status status = make_room(reader, piece.len);
    if (status != STATUS_OK) return status;
    memcpy(reader->partial + reader->partial_len, piece.data, piece.len);
    reader->partial_len += piece.len;
    if (reader->partial_len < reader->message_len) return STATUS_TRUNCATED;
    *ret_message = bytes_of(reader->partial, reader->partial_len);
    reader->is_handed_out = true;
    return STATUS_OK;
}

bool envelope_is_between(const struct envelope_reader *reader) {
    return reader->prefix_len == 0 || reader->is_handed_out;
}

void envelope_write_prefix(uint8_t prefix[ENVELOPE_PREFIX_BYTES], uint32_t message_len) {
    prefix[0] = 0;
    for (int i = 1; i < ENVELOPE_PREFIX_BYTES; i++) {
        prefix[i] = (uint8_t)(message_len >> (8 * (ENVELOPE_PREFIX_BYTES - 1 - i)));
    }
}
