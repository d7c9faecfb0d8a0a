// SPDX-License-Identifier: Apache-2.0
// Reads the messages that are most of all without the protobuf library, which takes an allocation
// for each part and copies bodies. For the other files of this folder.
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "extproc/message/message.h"

// Reads a ProcessingRequest that has one headers or body and nothing beside it that takes
// the library; its parts are borrowed. `ret_headers` is the serialised HeaderMap, if any. False: it
// is something else, or malformed, and what was written means nothing.
bool plain_decode(struct bytes serialised, struct message *ret_message, struct bytes *ret_headers);
