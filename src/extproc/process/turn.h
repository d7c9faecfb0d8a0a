// SPDX-License-Identifier: Apache-2.0
// What the files of a stream share: its state, and one message with what is decided on it. For this
// folder only; everybody else has process.h.
#pragma once

#include "base/arena.h"
#include "base/attributes.h"
#include "extproc/message/message.h"
#include "extproc/metrics.h"
#include "extproc/process/process.h"
#include "extproc/process/refusal.h"
#include "extproc/process/reply.h"
#include "extproc/process/request.h"

struct process_stream {
    /* immutable */
    const struct process_options *options;
    struct metrics *metrics;
    struct arena *arena;  // for what lives as long as the stream

    /* loop thread only */
    bool is_observed;  // nobody waits for answers; the first message says so
    bool is_over;      // the verdict `end` was given
    struct process_verdict end;
    int latest_request_kind;  // enum message_kind, -1 before the first
    int latest_response_kind;
    struct message_modes modes;  // as configured; the response's as it is now, if Envoy obeys
    bool may_override_modes;
    bool response_is_whole;  // a body message is the whole body, even without end_of_stream

    const char *operation;  // of a request of ours, whose body names a model; NULL: another's
    uint32_t label;         // the observer's, of what is known so far
    bool reads_request;     // the body is still to be read
    bool request_is_over;   // all of it came
    bool comes_early;       // before the headers are answered
    bool owes_headers;      // the answer to the request's headers waits for the model
    size_t request_bytes;
    struct bytes path;        // as the client sent it
    struct buffer own_names;  // owes_headers: headers that are to be removed, each before a '\0'
    struct buffer held;       // of the body: the end of what came, which has not passed yet
    size_t held_passed;       // so much of it is in the answer that is being made
    size_t held_pieces;       // owes_headers: in which it came
    bool held_is_last;
    bool is_answered;  // the reply's status says so
    bool is_recorded;
    struct reply reply;
    struct request request;
};

struct turn {
    struct process_stream *stream;
    struct arena *arena;
    int64_t now_ns;
    bool is_withheld;  // there is no answer yet
    bool has_more;     // turn_more makes the next one
    struct message message;
    struct message_answer answer;
    struct refusal refusal;
};

// Handlers of messages. They start from the answer "go on", and add what they want of Envoy, or set
// the refusal; STATUS_NO_MEMORY ends the stream.
MUST_USE enum status router_on_headers(struct turn *turn);
MUST_USE enum status router_on_body(struct turn *turn);
MUST_USE enum status router_on_trailers(struct turn *turn);
MUST_USE enum status upstream_on_headers(struct turn *turn);
MUST_USE enum status response_on_headers(struct turn *turn);
MUST_USE enum status response_on_body(struct turn *turn);
MUST_USE enum status response_on_trailers(struct turn *turn);

// Answers to a request's body that was read: to all of it, which chooses the route too; to a piece
// of it, where the first ones come before the headers are answered.
MUST_USE enum status passing_whole(struct turn *turn);
MUST_USE enum status passing_early(struct turn *turn);

// The answer to a piece of any body in the mode FULL_DUPLEX_STREAMED that stays as it is.
void passing_unchanged(struct turn *turn);

// What was held while the headers' answer was owed: the next answer about it.
void passing_send_held(struct turn *turn);

// When an answer is written: forgets what it took of what was held.
void passing_forget_passed(struct process_stream *stream);

// When the rest will not be sent.
void passing_drop_held(struct process_stream *stream);

// Tells the metrics of generative AI that the request is over, the first time it is called. NULL:
// it was answered well.
void stream_record(struct process_stream *stream, int64_t now_ns, const char *error_type);

// The same if the reply's status is no good one.
void stream_record_status(struct process_stream *stream, int64_t now_ns, struct bytes status);

// Asks Envoy for bodies in these modes from now on, where it may listen.
void turn_override_modes(struct turn *turn, enum message_body_mode request,
                         enum message_body_mode response);

// What content-length says; SIZE_MAX is that or more. False: nothing, or no number, which is
// Envoy's business.
bool turn_find_length(const struct turn *turn, size_t *ret_length);

void turn_refuse_too_large(struct turn *turn);
void turn_refuse_overloaded(struct turn *turn);

// From here on, the rest of this turn included, work is known to be for this.
void turn_add_label(struct turn *turn, const char *key, struct bytes value, bool is_known);
