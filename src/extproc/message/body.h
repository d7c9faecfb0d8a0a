// SPDX-License-Identifier: Apache-2.0
// The messages about bodies, read and written without the protobuf library: they are most of all
// messages, and the library would copy each body once more. For the other files of this folder.
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/status.h"
#include "extproc/message/message.h"

// Reads a ProcessingRequest that is about a body and nothing else that matters; the body is
// borrowed. False: it is something else, or malformed, and `ret_message` is untouched.
bool body_decode(struct bytes serialised, struct message *ret_message);

// Appends the answer's part about bodies: a serialised CommonResponse (empty: nothing else is said)
// and what the answer does to the body. STATUS_NO_MEMORY, STATUS_TOO_LARGE: nothing was appended.
MUST_USE enum status body_encode(const struct message_answer *answer, struct bytes common,
                                 struct buffer *serialised);

// Appends an answer that only says "go on".
MUST_USE enum status body_encode_plain(enum message_kind kind, struct buffer *serialised);
