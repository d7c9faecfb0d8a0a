// SPDX-License-Identifier: Apache-2.0
// Reads what a reply says about its tokens and its model while it passes, in pieces cut anywhere: a
// JSON body or an event stream, compressed or not. Nothing that a reply holds is an error to
// anybody: what cannot be read is counted. Of events that are alike, only the first is read.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "extproc/message/message.h"
#include "extproc/metrics.h"
#include "extproc/process/alike.h"
#include "extproc/process/process.h"
#include "extproc/process/sse.h"
#include "extproc/process/unzip.h"
#include "extproc/process/usage.h"

enum reply_kind { REPLY_UNREAD, REPLY_JSON, REPLY_EVENTS };

struct reply {
    const struct process_options *options;
    struct metrics *metrics;
    enum reply_kind kind;   // what is being read; REPLY_UNREAD before the start and after the end
    struct unzip *unzip;    // NULL: it is not compressed
    struct sse sse;         // REPLY_EVENTS
    uint8_t event_head[6];  // of the event that is being read
    size_t event_bytes;
    int64_t asked_ns;  // when the request came; the caller sets it
    int64_t first_ns;  // when the first event had come; 0: not yet
    struct usage usage;
    struct usage_reader reader;
    struct alike alike;  // REPLY_EVENTS
};

void reply_init(struct reply *reply, const struct process_options *options,
                struct metrics *metrics);
void reply_done(struct reply *reply);

// Looks at the reply's headers and decides how its body is read.
void reply_start(struct reply *reply, const struct message *headers);

// Takes a piece of the body. Does nothing for an unread reply.
void reply_add(struct reply *reply, struct bytes piece, int64_t now_ns);

// Whether nothing of meaning can follow: it is JSON, and all there.
bool reply_is_whole(const struct reply *reply);

// The reply ends, and what it said is added to the answer as metadata. Does nothing for an unread
// reply.
void reply_end(struct reply *reply, int64_t now_ns, struct message_answer *answer);

// Nanoseconds from one token to the next after the first, on average, as OpenTelemetry defines it;
// -1: it is no stream, or has not said how many they are.
int64_t reply_per_token_ns(const struct reply *reply, int64_t now_ns);

// Stops reading, because the rest will not come or makes no sense.
void reply_give_up(struct reply *reply);
