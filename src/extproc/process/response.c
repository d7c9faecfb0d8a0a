// SPDX-License-Identifier: Apache-2.0
// The reply's way back through the filter: which of its body is asked for, and what it said.
#include "extproc/process/turn.h"

// A reply that ends up whole takes a message less than in pieces.
enum { WHOLE_MOST_BYTES = 16 * 1024 };

// Envoy would hold an event stream back to collect it, answer 500 past its buffer limit, and
// collect in vain what is not read.
static enum message_body_mode mode_for(const struct turn *turn) {
    size_t length;
    bool is_small = turn_find_length(turn, &length) && length <= WHOLE_MOST_BYTES;
    switch (turn->stream->reply.kind) {
    case REPLY_EVENTS: return MESSAGE_BODY_STREAMED;
    case REPLY_JSON: return is_small ? MESSAGE_BODY_BUFFERED : MESSAGE_BODY_STREAMED;
    default: return MESSAGE_BODY_NONE;
    }
}

enum status response_on_headers(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    if (stream->operation == NULL) return STATUS_OK;
    bool will_be_read = stream->may_override_modes ||
                        stream->modes.response_body != MESSAGE_BODY_NONE;
    if (will_be_read) reply_start(&stream->reply, &turn->message);
    stream_record_status(stream, turn->now_ns,
                         message_find_header(&turn->message, BYTES_LITERAL(":status")));
    if (turn->message.end_of_stream) return STATUS_OK;
    enum message_body_mode mode = mode_for(turn);
    if (mode != stream->modes.response_body) turn_override_modes(turn, MESSAGE_BODY_NONE, mode);
    return STATUS_OK;
}

static void end_reply(struct turn *turn) {
    reply_end(&turn->stream->reply, turn->now_ns, &turn->answer);
    stream_record(turn->stream, turn->now_ns, NULL);
}

enum status response_on_body(struct turn *turn) {
    const struct message *message = &turn->message;
    struct process_stream *stream = turn->stream;
    reply_add(&stream->reply, message->body, turn->now_ns);
    bool is_last = message->end_of_stream || stream->response_is_whole ||
                   reply_is_whole(&stream->reply);
    if (is_last) end_reply(turn);
    if (stream->modes.response_body == MESSAGE_BODY_FULL_DUPLEX) passing_unchanged(turn);
    return STATUS_OK;
}

// Trailers end a body whose last piece did not say so.
enum status response_on_trailers(struct turn *turn) {
    end_reply(turn);
    return STATUS_OK;
}
