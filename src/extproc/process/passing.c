// SPDX-License-Identifier: Apache-2.0
// How a request's body goes on, changed or not: whole, in pieces, or held until the model is known.
#include <assert.h>
#include <stdio.h>

#include "extproc/budget.h"
#include "extproc/process/turn.h"

static void set_header(struct turn *turn, struct bytes name, struct bytes value) {
    turn->answer.set_headers[turn->answer.set_header_count++] = (struct message_header){
        .name = name,
        .value = value,
    };
}

static void set_route(struct turn *turn) {
    const struct process_stream *stream = turn->stream;
    set_header(turn, BYTES_LITERAL("x-ai-eg-model"), request_model(&stream->request));
    set_header(turn, BYTES_LITERAL("x-ai-eg-original-path"), stream->path);
    // The route was chosen by headers that did not have the model yet.
    turn->answer.clears_route_cache = true;
}

/* the body, changed or not */

static bool is_duplex(const struct process_stream *stream) {
    return stream->modes.request_body == MESSAGE_BODY_FULL_DUPLEX;
}

static bool may_edit(const struct process_stream *stream) {
    return stream->options->asks_for_usage && request_may_ask_for_usage(stream->operation);
}

// How much of the body so far may pass on.
static size_t settled_bytes(const struct process_stream *stream) {
    if (!may_edit(stream)) return stream->request_bytes;
    return request_settled_bytes(&stream->request, stream->request_bytes);
}

// Whether the change of the body lies between these two places in it.
static bool has_edit(const struct process_stream *stream, size_t start, size_t end) {
    const struct request_edit *edit = &stream->request.edit;
    bool is_wanted = edit->text != NULL && stream->request.is_stream && may_edit(stream);
    return is_wanted && edit->from >= start && edit->to <= end;
}

// Passes on what may of the body's last bytes.
static void put_body(struct turn *turn, struct bytes bytes) {
    struct process_stream *stream = turn->stream;
    const struct request_edit *edit = &stream->request.edit;
    size_t start = stream->request_bytes - bytes.len, end = settled_bytes(stream);
    assert(start <= end);
    turn->answer.body_change = is_duplex(stream) ? MESSAGE_BODY_PASSED : MESSAGE_BODY_REPLACED;
    if (stream->held.len != 0) stream->held_passed = end - start;
    if (!has_edit(stream, start, end)) {
        turn->answer.body[0] = bytes_of(bytes.data, end - start);
        return;
    }
    turn->answer.body[0] = bytes_of(bytes.data, edit->from - start);
    turn->answer.body[1] = bytes_of_text(edit->text);
    turn->answer.body[2] = bytes_of(bytes.data + (edit->to - start), end - edit->to);
    metrics_add(stream->metrics, METRIC_REQUESTS_USAGE_ASKED, 1);
}

// With the change, of a body that had `length` bytes.
static enum status set_content_length(struct turn *turn, size_t length) {
    const struct request_edit *edit = &turn->stream->request.edit;
    enum { room_bytes = 24 };
    length += strlen(edit->text) + edit->from - edit->to;
    char *text = arena_alloc(turn->arena, room_bytes);
    if (text == NULL) return STATUS_NO_MEMORY;
    snprintf(text, room_bytes, "%zu", length);
    set_header(turn, BYTES_LITERAL("content-length"), bytes_of_text(text));
    return STATUS_OK;
}

enum status passing_whole(struct turn *turn) {
    size_t length = turn->message.body.len;
    set_route(turn);
    if (!has_edit(turn->stream, 0, length)) return STATUS_OK;
    put_body(turn, turn->message.body);
    return set_content_length(turn, length);
}

void passing_unchanged(struct turn *turn) {
    turn->answer.body_change = MESSAGE_BODY_PASSED;
    turn->answer.body[0] = turn->message.body;
    turn->answer.body_is_last = turn->message.end_of_stream;
}

/* the body that is held */

// STATUS_OK with a refusal: there is no memory for it now.
static enum status hold_piece(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    struct budget *budget = stream->options->budget;
    struct bytes piece = turn->message.body;
    if (budget != NULL && !budget_take(budget, piece.len)) {
        turn_refuse_overloaded(turn);
        return STATUS_OK;
    }
    if (buffer_append(&stream->held, piece) == STATUS_OK) return STATUS_OK;
    if (budget != NULL) budget_give(budget, piece.len);
    return STATUS_NO_MEMORY;
}

static void drop_held(struct process_stream *stream, size_t count) {
    if (stream->options->budget != NULL) budget_give(stream->options->budget, count);
    buffer_remove_front(&stream->held, count);
    if (stream->held.len == 0) buffer_done(&stream->held);
    stream->held_passed = 0;
}

void passing_forget_passed(struct process_stream *stream) {
    drop_held(stream, stream->held_passed);
}

void passing_drop_held(struct process_stream *stream) {
    drop_held(stream, stream->held.len);
}

static enum status pass_piece(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    struct bytes bytes = turn->message.body;
    size_t end = stream->request_bytes;
    bool is_held = stream->held.len != 0 || settled_bytes(stream) != end;
    if (is_held) {
        enum status status = hold_piece(turn);
        if (status != STATUS_OK || turn->refusal.kind != REFUSAL_NONE) return status;
        bytes = buffer_bytes(&stream->held);
    }
    bool is_changed = is_held || has_edit(stream, end - bytes.len, end);
    if (is_duplex(stream) || is_changed) put_body(turn, bytes);
    turn->answer.body_is_last = turn->message.end_of_stream;
    return STATUS_OK;
}

// The headers to be removed, of which Envoy has not been told yet, and room for one more.
static enum status remove_noted_headers(struct turn *turn) {
    struct bytes noted = buffer_bytes(&turn->stream->own_names);
    size_t count = 0;
    for (size_t i = 0; i < noted.len; i++) count += noted.data[i] == '\0';
    struct bytes *names = arena_alloc(turn->arena, (count + 1) * sizeof(*names));
    if (names == NULL) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        names[i] = bytes_of_text((const char *)noted.data);
        noted.data += names[i].len + 1;
    }
    names[count] = BYTES_LITERAL("content-length");
    turn->answer.remove_headers = names;
    turn->answer.remove_header_count = count;
    return STATUS_OK;
}

// The model is known: what was owed is answered, the headers first.
static enum status answer_headers(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    stream->owes_headers = false;
    turn->answer.kind = MESSAGE_REQUEST_HEADERS;
    turn->has_more = true;
    set_route(turn);
    enum status status = remove_noted_headers(turn);
    // With FULL_DUPLEX_STREAMED Envoy takes the length away itself.
    if (status != STATUS_OK || is_duplex(stream)) return status;
    bool is_edited = has_edit(stream, 0, stream->request_bytes);
    bool is_changed = is_edited || settled_bytes(stream) != stream->request_bytes;
    if (!is_changed && stream->held_pieces == 1) passing_drop_held(stream);
    if (!stream->reads_request) {
        return is_edited ? set_content_length(turn, stream->request_bytes) : STATUS_OK;
    }
    if (may_edit(stream)) turn->answer.remove_header_count++;  // what is to come may grow
    return STATUS_OK;
}

// With STREAMED each piece is owed an answer: the last one gets all of the body, and a single one
// may stay as it is.
void passing_send_held(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    turn->answer.kind = MESSAGE_REQUEST_BODY;
    if (!is_duplex(stream)) {
        stream->held_pieces--;
        turn->has_more = stream->held_pieces != 0;
        if (turn->has_more) turn->answer.body_change = MESSAGE_BODY_REPLACED;
        if (turn->has_more || stream->held.len == 0) return;
    }
    put_body(turn, buffer_bytes(&stream->held));
    turn->answer.body_is_last = stream->held_is_last;
}

enum status passing_early(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    if (!stream->owes_headers) return pass_piece(turn);
    enum status status = hold_piece(turn);
    if (status != STATUS_OK || turn->refusal.kind != REFUSAL_NONE) return status;
    stream->held_pieces++;
    stream->held_is_last = turn->message.end_of_stream;
    if (stream->request.model_bytes != 0) return answer_headers(turn);
    turn->is_withheld = true;
    return STATUS_OK;
}
