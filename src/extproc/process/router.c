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

static void refuse_missing_body(struct turn *turn) {
    refusal_set(&turn->refusal, REFUSAL_BODY_MISSING,
                "The request has no body; a JSON object with the field 'model' is needed.");
}

// False: it is compressed, and refused. A word that names no coding is in nobody's way.
static bool check_encoding(struct turn *turn) {
    static const char *const codings[] = {"gzip", "x-gzip", "deflate", "br", "zstd"};
    struct bytes value = message_find_header(&turn->message, BYTES_LITERAL("content-encoding"));
    for (size_t i = 0; i < COUNT_OF(codings) && value.len != 0; i++) {
        if (!bytes_equal_ignoring_case(value, bytes_of_text(codings[i]))) continue;
        // RFC 9110 section 15.5.16 has 415 for codings, too.
        refusal_set(
            &turn->refusal, REFUSAL_BODY_ENCODED,
            "The request has content-encoding: %s; this gateway reads bodies that have none.",
            codings[i]);
        return false;
    }
    return true;
}

static enum status pass_request(struct turn *turn) {
    metrics_add(turn->stream->metrics, METRIC_REQUESTS_PASSED, 1);
    // Without this Envoy would collect both bodies for us, for nothing. The reply's headers stay
    // asked for: when Envoy sends them while this answer is on its way (its own 413, say), it would
    // take this one for the last and wait for the other until the message timeout.
    turn_override_modes(turn, MESSAGE_BODY_NONE, MESSAGE_BODY_NONE);
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
    bool is_early = mode == MESSAGE_BODY_FULL_DUPLEX ||
                    (mode == MESSAGE_BODY_STREAMED && stream->modes.sends_body_early);
    stream->comes_early = is_early && !stream->is_observed;
    if (stream->comes_early) {
        stream->owes_headers = turn->is_withheld = true;
        return note_own_headers(turn);
    }
    // What Envoy collects of a reply while it waits for the answer to its headers can be too much
    // already: it then answers 500. So that it does not, it is told now.
    if (mode != MESSAGE_BODY_BUFFERED || stream->modes.response_body != MESSAGE_BODY_STREAMED) {
        turn_override_modes(turn, MESSAGE_BODY_BUFFERED, MESSAGE_BODY_STREAMED);
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
    turn_add_label(turn, "operation", bytes_of_text(operation), true);
    if (message->end_of_stream) {
        refuse_missing_body(turn);
        return STATUS_OK;
    }
    if (!check_encoding(turn)) return STATUS_OK;
    size_t length;
    if (turn_find_length(turn, &length) && length > stream->options->body_limit_bytes) {
        turn_refuse_too_large(turn);
        return STATUS_OK;
    }
    stream->reads_request = true;
    stream->path = arena_copy(stream->arena, path);
    return stream->path.data == NULL ? STATUS_NO_MEMORY : await_body(turn);
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
    if (!was_known) turn_add_label(turn, "model", request_model(&stream->request), false);
    return true;
}

// Whether the body ends with this message. A buffered one that has trailers does not say so.
static bool is_last_piece(const struct turn *turn) {
    const struct process_stream *stream = turn->stream;
    if (turn->message.end_of_stream) return true;
    if (stream->comes_early || stream->is_observed) return false;
    return stream->modes.request_body == MESSAGE_BODY_BUFFERED ||
           request_is_whole(&stream->request);
}

enum status router_on_body(struct turn *turn) {
    struct process_stream *stream = turn->stream;
    if (!stream->reads_request) {
        if (stream->modes.request_body == MESSAGE_BODY_FULL_DUPLEX) passing_unchanged(turn);
        return STATUS_OK;
    }
    if (!read_piece(turn)) return STATUS_OK;
    bool is_last = is_last_piece(turn);
    if (is_last && !end_body(turn)) return STATUS_OK;
    if (stream->is_observed) return STATUS_OK;
    if (stream->comes_early) return passing_early(turn);
    if (is_last) return passing_whole(turn);
    refuse_pieces(turn);
    return STATUS_OK;
}

// Trailers end a body whose last piece did not say so.
enum status router_on_trailers(struct turn *turn) {
    if (turn->stream->reads_request && !end_body(turn)) return STATUS_OK;
    assert(!turn->stream->owes_headers);
    return STATUS_OK;
}
