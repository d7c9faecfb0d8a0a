// SPDX-License-Identifier: Apache-2.0
// The reply's way back through the filter: which of its body is asked for, and what it said.
#include "extproc/process/turn.h"

// Envoy would hold an event stream back to collect it, and collect in vain what is not read. Whole
// JSON comes as one message, where that is how the filter is configured.
static enum message_body_mode mode_for(const struct process_stream *stream) {
    switch (stream->reply.kind) {
    case REPLY_EVENTS: return MESSAGE_BODY_STREAMED;
    case REPLY_JSON:
        return stream->modes.response_body == MESSAGE_BODY_BUFFERED ? MESSAGE_BODY_BUFFERED
                                                                    : MESSAGE_BODY_STREAMED;
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
    if (turn->message.end_of_stream || !stream->may_override_modes) return STATUS_OK;
    enum message_body_mode mode = mode_for(stream);
    if (mode == stream->modes.response_body) return STATUS_OK;
    turn->answer.overrides_mode = true;
    turn->answer.response_body_mode = mode;
    stream->response_is_whole = false;
    return STATUS_OK;
}

static void end_reply(struct turn *turn) {
    reply_end(&turn->stream->reply, turn->now_ns, &turn->answer);
    stream_record(turn->stream, turn->now_ns, NULL);
}

enum status response_on_body(struct turn *turn) {
    const struct message *message = &turn->message;
    struct process_stream *stream = turn->stream;
    bool is_last = message->end_of_stream || stream->response_is_whole;
    reply_add(&stream->reply, message->body, turn->now_ns);
    if (is_last) end_reply(turn);
    if (stream->modes.response_body == MESSAGE_BODY_FULL_DUPLEX) passing_unchanged(turn);
    return STATUS_OK;
}

// Trailers end a body whose last piece did not say so.
enum status response_on_trailers(struct turn *turn) {
    end_reply(turn);
    return STATUS_OK;
}
