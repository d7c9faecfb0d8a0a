// SPDX-License-Identifier: Apache-2.0
// The envelope splitter: wherever the bytes are cut, the same messages come out, or the same error,
// and all memory goes back. The first byte of the input says how it is cut.
#include <stdlib.h>

#include "extproc/grpc/envelope.h"

enum { MESSAGE_MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Appends each message and its length to `found`; the status that ended it.
static enum status split(struct bytes input, size_t piece_bytes, struct buffer *found) {
    struct budget budget = {.most = 2 * MESSAGE_MOST};
    struct envelope_reader reader = {.message_most_bytes = MESSAGE_MOST, .budget = &budget};
    enum status status = STATUS_TRUNCATED;
    while (input.len != 0 && status == STATUS_TRUNCATED) {
        struct bytes piece = {input.data, input.len < piece_bytes ? input.len : piece_bytes};
        input = bytes_of(input.data + piece.len, input.len - piece.len);
        struct bytes message;
        while ((status = envelope_read(&reader, &piece, &message)) == STATUS_OK) {
            if (message.len > MESSAGE_MOST) abort();
            if (buffer_append(found, message) != STATUS_OK) abort();
            if (buffer_append_format(found, "|%zu|", message.len) != STATUS_OK) abort();
        }
        if (status == STATUS_TRUNCATED && piece.len != 0) abort();
    }
    envelope_done(&reader);
    if (budget.used != 0) abort();
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct buffer whole = {0}, cut = {0};
    struct bytes input = bytes_of(data + 1, size - 1);
    enum status status_whole = split(input, input.len, &whole);
    enum status status_cut = split(input, (size_t)data[0] + 1, &cut);
    if (status_whole != status_cut) abort();
    if (!bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut))) abort();
    buffer_done(&whole);
    buffer_done(&cut);
    return 0;
}
