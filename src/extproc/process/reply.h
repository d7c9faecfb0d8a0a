// SPDX-License-Identifier: Apache-2.0
// Reads what a reply says about its tokens and its model while it passes: a JSON body, whole or in
// pieces, or an event stream. Nothing that a reply holds is an error to anybody: what cannot be
// read is counted.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "extproc/message/message.h"
#include "extproc/metrics.h"
#include "extproc/process/process.h"
#include "extproc/process/sse.h"
#include "extproc/process/usage.h"

enum reply_kind { REPLY_UNREAD, REPLY_JSON, REPLY_EVENTS };

struct reply {
    const struct process_options *options;
    struct metrics *metrics;
    enum reply_kind kind;  // what is being read; REPLY_UNREAD before the start and after the end
    struct buffer pieces;  // REPLY_JSON: of a body that comes in several messages
    struct sse sse;        // REPLY_EVENTS
    struct usage usage;
};

void reply_init(struct reply *reply, const struct process_options *options,
                struct metrics *metrics);
void reply_done(struct reply *reply);

// Looks at the reply's headers and decides how its body is read.
void reply_start(struct reply *reply, const struct message *headers);

// Takes a piece of the body, which json_read_in_place may work in: MESSAGE_BODY_PADDING follows.
// With `is_last` the reply ends, and what it said is added to the answer as metadata. Does nothing
// for an unread reply.
void reply_add(struct reply *reply, uint8_t *body, size_t body_bytes, bool is_last,
               struct arena *arena, struct message_answer *answer);

// Stops reading, because the rest will not come.
void reply_give_up(struct reply *reply);
