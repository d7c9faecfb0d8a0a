// SPDX-License-Identifier: Apache-2.0
// How a request's body goes on, changed or not: whole, in pieces, or held until the model is known.
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

// Whether the change of the body lies in these bytes of it, of which `start` came before. Before
// the end of the body it may not be known whether it asks for a stream; options for one are changed
// all the same.
static bool has_edit(const struct process_stream *stream, struct bytes bytes, size_t start) {
    const struct request *request = &stream->request;
    const struct request_edit *edit = &request->edit;
    if (edit->text == NULL || !may_edit(stream)) return false;
    if (!request->is_stream && !stream->reads_request) return false;
    return edit->from + stream->withheld.len >= start && edit->to <= start + bytes.len;
}

// What came of a word that may have to give way once it is whole: it is not passed on before.
static struct bytes cut_word(const struct process_stream *stream) {
    if (!stream->reads_request || !may_edit(stream)) return BYTES_EMPTY;
    return request_cut_word(&stream->request);
}

static void put_edited(struct turn *turn, struct bytes bytes, size_t start) {
    struct process_stream *stream = turn->stream;
    const struct request_edit *edit = &stream->request.edit;
    // A word that is cut begins before; what was withheld of it is gone with it.
    size_t before = edit->from > start ? edit->from - start : 0;
    size_t behind = start + bytes.len - edit->to;
    turn->answer.body[0] = bytes_of(bytes.data, before);
    turn->answer.body[1] = bytes_of_text(edit->text);
    turn->answer.body[2] = bytes_of(bytes.data + bytes.len - behind, behind);
    metrics_add(stream->metrics, METRIC_REQUESTS_USAGE_ASKED, 1);
}

static void put_body(struct turn *turn, struct bytes bytes, size_t start) {
    struct process_stream *stream = turn->stream;
    struct bytes word = cut_word(stream), withheld = stream->withheld;
    bool is_edited = has_edit(stream, bytes, start);
    turn->answer.body_change = is_duplex(stream) ? MESSAGE_BODY_PASSED : MESSAGE_BODY_REPLACED;
    stream->withheld = word;
    if (word.len > bytes.len) return;  // all of it is the middle of a word
    bytes.len -= word.len;
    if (is_edited) {
        put_edited(turn, bytes, start);
        return;
    }
    turn->answer.body[0] = withheld;
    turn->answer.body[1] = bytes;
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
    set_route(turn);
    if (!has_edit(turn->stream, turn->message.body, 0)) return STATUS_OK;
    put_body(turn, turn->message.body, 0);
    return set_content_length(turn, turn->message.body.len);
}

void passing_piece(struct turn *turn) {
    const struct process_stream *stream = turn->stream;
    struct bytes piece = turn->message.body;
    size_t start = stream->request_bytes - piece.len;
    bool is_changed = stream->withheld.len != 0 || cut_word(stream).len != 0 ||
                      has_edit(stream, piece, start);
    if (is_duplex(stream) || is_changed) put_body(turn, piece, start);
    turn->answer.body_is_last = turn->message.end_of_stream;
}

/* the body that is held */

static enum status hold_piece(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    struct budget *budget = stream->options->budget;
    struct bytes piece = turn->message.body;
    if (budget != NULL && !budget_take(budget, piece.len)) {
        turn_refuse_overloaded(turn);
        return STATUS_OK;
    }
    if (buffer_append(&stream->held, piece) != STATUS_OK) {
        if (budget != NULL) budget_give(budget, piece.len);
        return STATUS_NO_MEMORY;
    }
    stream->held_pieces++;
    stream->held_is_last = turn->message.end_of_stream;
    return STATUS_OK;
}

void passing_drop_held(struct process_stream *stream) {
    if (stream->options->budget != NULL) budget_give(stream->options->budget, stream->held.len);
    buffer_done(&stream->held);
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
    bool is_edited = has_edit(stream, buffer_bytes(&stream->held), 0);
    bool is_changed = is_edited || cut_word(stream).len != 0;
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
    put_body(turn, buffer_bytes(&stream->held), 0);
    turn->answer.body_is_last = stream->held_is_last;
}

enum status passing_early(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    if (!stream->owes_headers) {
        passing_piece(turn);
        return STATUS_OK;
    }
    enum status status = hold_piece(turn);
    if (status != STATUS_OK) return status;
    bool is_refused = turn->refusal.kind != REFUSAL_NONE;
    if (stream->request.model_bytes != 0 && !is_refused) return answer_headers(turn);
    turn->is_withheld = true;
    return STATUS_OK;
}
