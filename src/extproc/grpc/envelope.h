// SPDX-License-Identifier: Apache-2.0
// Cuts a byte stream into gRPC messages: each has a prefix of one flag byte (0, or 1 for
// compressed) and four bytes of length, big-endian. A message that arrives in one piece is not
// copied. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "extproc/budget.h"

enum { ENVELOPE_PREFIX_BYTES = 5 };

// All-zero but for the first three is the start of a stream.
struct envelope_reader {
    size_t message_most_bytes;
    struct budget *budget;  // borrowed
    bool is_owed;           // a message that is refused would be lost: budget_take_owed

    uint8_t prefix[ENVELOPE_PREFIX_BYTES];  // if it comes in pieces
    size_t prefix_len;
    size_t message_len;  // valid once the prefix is whole
    uint8_t *partial;    // what has come of a message that comes in pieces
    size_t partial_len;
    size_t partial_capacity;
    bool is_handed_out;  // the message was returned: the next call begins a new one
};

// Takes from the front of `input` until a message is whole; `ret_message` borrows from the input or
// the reader and lives until the next call or envelope_release. STATUS_TRUNCATED: all input is
// taken, more is needed. After one of these no further call is allowed but envelope_done:
// STATUS_TOO_LARGE: the prefix announces more than the limit; STATUS_UNSUPPORTED: it is compressed;
// STATUS_MALFORMED: an unknown flag; STATUS_NO_MEMORY: also when the budget is used up.
MUST_USE enum status envelope_read(struct envelope_reader *reader, struct bytes *input,
                                   struct bytes *ret_message);

// Frees what is held and gives it back to the budget.
void envelope_done(struct envelope_reader *reader);

// The message that was handed out, if any, is not needed any more: what held it is given back.
static inline void envelope_release(struct envelope_reader *reader) {
    if (reader->partial != NULL && reader->is_handed_out) envelope_done(reader);
}

// Whether the bytes so far end between two messages.
bool envelope_is_between(const struct envelope_reader *reader);

// Writes the prefix of an uncompressed message.
void envelope_write_prefix(uint8_t prefix[ENVELOPE_PREFIX_BYTES], uint32_t message_len);
