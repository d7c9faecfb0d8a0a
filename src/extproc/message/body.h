// SPDX-License-Identifier: Apache-2.0
// Answers about bodies, written without the protobuf library: it would copy each body once more.
// For the other files of this folder.
#pragma once

#include "base/bytes.h"
#include "base/status.h"
#include "extproc/message/message.h"

// Appends the answer's part about bodies: a serialised CommonResponse (empty: nothing else is said)
// and what the answer does to the body. STATUS_NO_MEMORY, STATUS_TOO_LARGE: nothing was appended.
MUST_USE enum status body_encode(const struct message_answer *answer, struct bytes common,
                                 struct buffer *serialised);

// Appends an answer that only says "go on".
MUST_USE enum status body_encode_plain(enum message_kind kind, struct buffer *serialised);
