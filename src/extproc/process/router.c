// SPDX-License-Identifier: Apache-2.0
// The request's way through the filter in front of the router: its body names the model, by which
// Envoy then chooses the route.
//
// How the body comes is how the filter is configured. BUFFERED: whole; the model goes into the
// answer to it. FULL_DUPLEX_STREAMED, and STREAMED with
// send_body_without_waiting_for_header_response: in pieces, before the headers are answered; that
// answer waits for the model, and what came until then is held. STREAMED else: the headers would
// have passed before the first piece comes, so BUFFERED is asked for.
#include <assert.h>
#include <stdio.h>

#include "extproc/budget.h"
#include "extproc/process/models.h"
#include "extproc/process/turn.h"

/* headers */

// The x-ai-eg- headers are how we tell Envoy's router and later filters what we found; a client
// that sends one itself would choose its own route, and may have done so already.
static bool is_own_header(struct bytes name) {
    return bytes_start_with(name, BYTES_LITERAL("x-ai-eg-"));
}

static enum status remove_own_headers(struct turn *turn) {
    const struct message *message = &turn->message;
    struct bytes *names = arena_alloc(turn->arena, message->header_count * sizeof(*names));
    if (names == NULL) return STATUS_NO_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < message->header_count; i++) {
        if (is_own_header(message->headers[i].name)) names[count++] = message->headers[i].name;
    }
    turn->answer.remove_headers = names;
    turn->answer.remove_header_count = count;
    turn->answer.clears_route_cache = count != 0;
    return STATUS_OK;
}

// For the answer that comes later.
static enum status note_own_headers(struct turn *turn) {
    const struct message *message = &turn->message;
    struct buffer *noted = &turn->stream->own_names;
    for (size_t i = 0; i < message->header_count; i++) {
        if (!is_own_header(message->headers[i].name)) continue;
        enum status status = buffer_append(noted, message->headers[i].name);
        if (status == STATUS_OK) status = buffer_append_byte(noted, '\0');
        if (status != STATUS_OK) return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

// Whether the text is a number over the limit. Text that is no number is Envoy's business.
static bool is_over_limit(struct bytes text, size_t limit) {
    size_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        if (value > (SIZE_MAX - 9) / 10) return true;
        value = value * 10 + (size_t)(text.data[i] - '0');
    }
    return value > limit;
}

static void refuse_missing_body(struct turn *turn) {
    refusal_set(&turn->refusal, REFUSAL_BODY_MISSING,
                "The request has no body; a JSON object with the field 'model' is needed.");
}

static enum status pass_request(struct turn *turn) {
    metrics_add(turn->stream->metrics, METRIC_REQUESTS_PASSED, 1);
    // Without this Envoy would collect both bodies for us, for nothing. The reply's headers stay
    // asked for: when Envoy sends them while this answer is on its way (its own 413, say), it would
    // take this one for the last and wait for the other until the message timeout.
    turn->answer.overrides_mode = turn->stream->may_override_modes;
    return remove_own_headers(turn);
}

static enum status answer_models(struct turn *turn) {
    struct message_immediate *immediate = arena_alloc(turn->arena, sizeof(*immediate));
    if (immediate == NULL) return STATUS_NO_MEMORY;
    *immediate = (struct message_immediate){
        .http_status = 200,
        .content_type = "application/json",
        .details = "extproc_models",
    };
    enum status status = models_read(turn->stream->options->models, turn->arena, &immediate->body);
    if (status != STATUS_OK) return status;
    metrics_add(turn->stream->metrics, METRIC_REQUESTS_MODELS, 1);
    turn->answer.immediate = immediate;
    return STATUS_OK;
}

static enum status await_body(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    uint32_t mode = stream->modes.request_body;
    stream->comes_early = mode == MESSAGE_BODY_FULL_DUPLEX ||
                          (mode == MESSAGE_BODY_STREAMED && stream->modes.sends_body_early);
    if (stream->comes_early) {
        stream->owes_headers = turn->is_withheld = true;
        return note_own_headers(turn);
    }
    if (mode != MESSAGE_BODY_BUFFERED) {
        turn->answer.overrides_mode = stream->may_override_modes;
        turn->answer.request_body_mode = MESSAGE_BODY_BUFFERED;
        turn->answer.response_body_mode = (enum message_body_mode)stream->modes.response_body;
    }
    return remove_own_headers(turn);
}

enum status router_on_headers(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    const struct message *message = &turn->message;
    struct bytes path = message_find_header(message, BYTES_LITERAL(":path"));
    struct bytes method = message_find_header(message, BYTES_LITERAL(":method"));
    const char *operation = request_operation(method, path);
    if (stream->options->models != NULL && request_asks_for_models(method, path)) {
        return answer_models(turn);
    }
    if (operation == NULL) return pass_request(turn);
    stream->operation = operation;
    stream->reply.asked_ns = turn->now_ns;
    request_init(&stream->request);
    turn_add_label(turn, "operation", bytes_of_text(operation));
    if (message->end_of_stream) {
        refuse_missing_body(turn);
        return STATUS_OK;
    }
    if (is_over_limit(message_find_header(message, BYTES_LITERAL("content-length")),
                      stream->options->body_limit_bytes)) {
        turn_refuse_too_large(turn);
        return STATUS_OK;
    }
    stream->reads_request = true;
    enum status status = buffer_append(&stream->path, path);
    return status != STATUS_OK ? status : await_body(turn);
}

/* the route */

static void set_header(struct turn *turn, struct bytes name, struct bytes value) {
    turn->answer.set_headers[turn->answer.set_header_count++] = (struct message_header){
        .name = name,
        .value = value,
    };
}

static void set_route(struct turn *turn) {
    const struct process_stream *stream = turn->stream;
    set_header(turn, BYTES_LITERAL("x-ai-eg-model"), request_model(&stream->request));
    set_header(turn, BYTES_LITERAL("x-ai-eg-original-path"), buffer_bytes(&stream->path));
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
    if (edit->text == NULL || stream->has_edited || !may_edit(stream)) return false;
    if (!request->is_stream && !stream->reads_request) return false;
    return edit->from >= start && edit->to <= start + bytes.len;
}

static void put_body(struct turn *turn, struct bytes bytes, size_t start) {
    struct process_stream *stream = turn->stream;
    struct message_answer *answer = &turn->answer;
    answer->body_change = is_duplex(stream) ? MESSAGE_BODY_PASSED : MESSAGE_BODY_REPLACED;
    answer->body[0] = bytes;
    if (!has_edit(stream, bytes, start)) return;
    const struct request_edit *edit = &stream->request.edit;
    size_t before = edit->from - start, after = start + bytes.len - edit->to;
    answer->body[0].len = before;
    answer->body[1] = bytes_of_text(edit->text);
    answer->body[2] = bytes_of(bytes.data + bytes.len - after, after);
    stream->has_edited = true;
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

static enum status answer_whole(struct turn *turn) {
    set_route(turn);
    if (!has_edit(turn->stream, turn->message.body, 0)) return STATUS_OK;
    put_body(turn, turn->message.body, 0);
    return set_content_length(turn, turn->message.body.len);
}

static void answer_piece(struct turn *turn) {
    const struct process_stream *stream = turn->stream;
    struct bytes piece = turn->message.body;
    size_t start = stream->request_bytes - piece.len;
    if (is_duplex(stream) || has_edit(stream, piece, start)) put_body(turn, piece, start);
    turn->answer.body_is_last = turn->message.end_of_stream;
}

/* the body that is held */

static enum status hold(struct turn *turn) {
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

void router_drop_held(struct process_stream *stream) {
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
    if (!is_edited && stream->held_pieces == 1) router_drop_held(stream);
    if (!stream->reads_request) {
        return is_edited ? set_content_length(turn, stream->request_bytes) : STATUS_OK;
    }
    if (may_edit(stream)) turn->answer.remove_header_count++;  // what is to come may grow
    return STATUS_OK;
}

// With STREAMED each piece is owed an answer: the last one gets all of the body, and a single one
// may stay as it is.
void router_send_held(struct turn *turn) {
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

/* bodies */

// The body ends here. False: it is refused.
static bool end_body(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    stream->reads_request = false;
    if (stream->request_bytes == 0) {
        refuse_missing_body(turn);
        return false;
    }
    if (!request_end(&stream->request, &turn->refusal)) return false;
    metrics_add(stream->metrics, METRIC_REQUESTS_ROUTED, 1);
    return true;
}

static void refuse_pieces(struct turn *turn) {
    refusal_set(&turn->refusal, REFUSAL_BODY_NOT_BUFFERED,
                "The gateway hands over request bodies in pieces after their headers have passed: "
                "its request_body_mode must be BUFFERED or FULL_DUPLEX_STREAMED.");
}

// False: it is refused.
static bool read_piece(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    struct bytes piece = turn->message.body;
    bool was_known = stream->request.model_bytes != 0;
    if (piece.len > stream->options->body_limit_bytes - stream->request_bytes) {
        turn_refuse_too_large(turn);
        return false;
    }
    stream->request_bytes += piece.len;
    if (!request_add(&stream->request, piece, &turn->refusal)) return false;
    if (!was_known) turn_add_label(turn, "model", request_model(&stream->request));
    return true;
}

// Whether the body ends with this message. A buffered one that has trailers does not say so.
static bool is_last_piece(const struct turn *turn) {
    const struct process_stream *stream = turn->stream;
    if (turn->message.end_of_stream) return true;
    if (stream->comes_early || turn->message.is_observed) return false;
    return stream->modes.request_body == MESSAGE_BODY_BUFFERED ||
           request_is_whole(&stream->request);
}

static enum status answer_early(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    if (!stream->owes_headers) {
        answer_piece(turn);
        return STATUS_OK;
    }
    enum status status = hold(turn);
    if (status != STATUS_OK) return status;
    bool is_refused = turn->refusal.kind != REFUSAL_NONE;
    if (stream->request.model_bytes != 0 && !is_refused) return answer_headers(turn);
    turn->is_withheld = true;
    return STATUS_OK;
}

enum status router_on_body(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    if (!stream->reads_request) {
        if (is_duplex(stream)) answer_piece(turn);
        return STATUS_OK;
    }
    if (!read_piece(turn)) return STATUS_OK;
    bool is_last = is_last_piece(turn);
    if (is_last && !end_body(turn)) return STATUS_OK;
    if (turn->message.is_observed) return STATUS_OK;
    if (stream->comes_early) return answer_early(turn);
    if (is_last) return answer_whole(turn);
    refuse_pieces(turn);
    return STATUS_OK;
}

// Trailers end a body whose last piece did not say so.
enum status router_on_trailers(struct turn *turn) {
    if (turn->stream->reads_request && !end_body(turn)) return STATUS_OK;
    assert(!turn->stream->owes_headers);
    return STATUS_OK;
}
