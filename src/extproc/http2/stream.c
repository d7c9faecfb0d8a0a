// SPDX-License-Identifier: Apache-2.0
// One stream: what is kept of its headers, its way out, and the window it gets.
#include "extproc/http2/stream.h"

#include <assert.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "extproc/budget.h"

enum {
    OUTPUT_UNREAD_BYTES = 256 << 10,  // past it the stream gets no window
    // nghttp2 tells the peer from half of the window on, so it need not be asked each time.
    WINDOW_WITHHELD_BYTES = HTTP2_WINDOW_BYTES / 8,
    OUTPUT_KEPT_BYTES = 4 << 10,    // a smaller buffer is kept for the next answer
    OUTPUT_MOVED_BYTES = 64 << 10,  // sent bytes at the front that are worth a move
    ARENA_MOST_BYTES = 256 << 10,   // besides the room of each stream
    IDLE_MOST = 128,                // streams that are kept: some 1 MB
};

static struct http2_stream *take_idle(struct http2_session *session) {
    struct http2_stream *stream = session->idle;
    if (stream == NULL) return NULL;
    session->idle = stream->next;
    session->idle_count--;
    memset(stream, 0, offsetof(struct http2_stream, output));
    return stream;
}

// What a stream may keep is not worth counting.
static void charge_output(struct http2_stream *stream) {
    struct budget *budget = stream->session->output_budget;
    size_t held = stream->output.capacity > OUTPUT_KEPT_BYTES ? stream->output.capacity : 0;
    size_t before = stream->output_charged;
    stream->output_charged = held;
    if (budget == NULL || held == before) return;
    if (held > before) budget_charge(budget, held - before);
    if (held < before) budget_give(budget, before - held);
}

struct http2_stream *http2_stream_new(struct http2_session *session, int32_t id) {
    struct http2_stream *stream = take_idle(session);
    if (stream == NULL) stream = calloc(1, sizeof(*stream));
    if (stream == NULL) return NULL;
    arena_init(&stream->arena, stream->room, sizeof(stream->room), ARENA_MOST_BYTES);
    stream->session = session;
    stream->id = id;
    stream->next = session->streams;
    stream->previous_next = &session->streams;
    if (stream->next != NULL) stream->next->previous_next = &stream->next;
    session->streams = stream;
    session->stream_count++;
    return stream;
}

struct http2_stream *http2_stream_find(struct http2_session *session, int32_t id) {
    struct http2_stream *latest = session->latest;
    if (latest != NULL && latest->id == id) return latest;
    latest = nghttp2_session_get_stream_user_data(session->nghttp2, id);
    if (latest != NULL) session->latest = latest;
    return latest;
}

static void free_stream(struct http2_stream *stream) {
    buffer_done(&stream->output);
    free(stream);
}

void http2_stream_free(struct http2_stream *stream) {
    struct http2_session *session = stream->session;
    if (stream->state != NULL) session->handler->close(stream->state);
    *stream->previous_next = stream->next;
    if (stream->next != NULL) stream->next->previous_next = stream->previous_next;
    session->stream_count--;
    if (session->latest == stream) session->latest = NULL;
    arena_reset(&stream->arena);
    bool is_kept = !HAS_ADDRESS_SANITIZER && session->idle_count < IDLE_MOST &&
                   stream->output.capacity <= OUTPUT_KEPT_BYTES;
    if (!is_kept) {
        buffer_done(&stream->output);
        charge_output(stream);
        free_stream(stream);
        return;
    }
    stream->output.len = 0;
    stream->next = session->idle;
    session->idle = stream;
    session->idle_count++;
}

void http2_stream_free_idle(struct http2_session *session) {
    while (session->idle != NULL) free_stream(take_idle(session));
}

struct arena *http2_stream_arena(struct http2_stream *stream) {
    return &stream->arena;
}

static struct http2_text *place_of(struct http2_stream *stream, struct bytes name) {
    if (bytes_equal(name, BYTES_LITERAL(":path"))) return &stream->path;
    if (bytes_equal(name, BYTES_LITERAL(":method"))) return &stream->method;
    if (bytes_equal(name, BYTES_LITERAL("content-type"))) return &stream->content_type;
    return NULL;
}

void http2_stream_keep_header(struct http2_stream *stream, struct bytes name, struct bytes value) {
    struct http2_text *text = place_of(stream, name);
    if (text == NULL || value.len == 0 || value.len > sizeof(text->data)) return;
    memcpy(text->data, value.data, value.len);
    text->len = (uint8_t)value.len;
}

static size_t output_unsent(const struct http2_stream *stream) {
    return stream->output.len - stream->output_sent;
}

void http2_stream_consume(struct http2_stream *stream, size_t len) {
    stream->window_withheld += len;
    if (stream->is_finished || stream->window_withheld < WINDOW_WITHHELD_BYTES) return;
    if (output_unsent(stream) > OUTPUT_UNREAD_BYTES) return;
    // A failure is a lack of memory, which the next call of nghttp2 reports.
    (void)nghttp2_session_consume_stream(stream->session->nghttp2, stream->id,
                                         stream->window_withheld);
    stream->window_withheld = 0;
}

static void drop_sent_output(struct http2_stream *stream) {
    struct buffer *output = &stream->output;
    if (stream->output_sent == output->len) {
        output->len = 0;
        stream->output_sent = 0;
        if (output->capacity > OUTPUT_KEPT_BYTES) buffer_done(output);
        charge_output(stream);
        return;
    }
    if (stream->output_sent < OUTPUT_MOVED_BYTES || stream->output_sent < output->len / 2) return;
    buffer_remove_front(output, stream->output_sent);
    stream->output_sent = 0;
}

// nghttp2 copies the texts.
static size_t encode_fields(nghttp2_nv *fields, size_t at, const struct http2_field *from,
                            size_t count) {
    assert(count <= HTTP2_FIELDS_MOST);
    for (size_t i = 0; i < count; i++) {
        fields[at++] = (nghttp2_nv){.name = (uint8_t *)from[i].name.data,
                                    .namelen = from[i].name.len,
                                    .value = (uint8_t *)from[i].value.data,
                                    .valuelen = from[i].value.len};
    }
    return at;
}

static nghttp2_ssize read_output(nghttp2_session *nghttp2, int32_t id, uint8_t *room, size_t size,
                                 uint32_t *flags, nghttp2_data_source *source, void *user_data) {
    (void)user_data;
    struct http2_stream *stream = source->ptr;
    size_t len = output_unsent(stream);
    if (len == 0 && !stream->is_finished) {
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (len > size) len = size;
    if (len > 0) memcpy(room, stream->output.data + stream->output_sent, len);
    stream->output_sent += len;
    drop_sent_output(stream);
    http2_stream_consume(stream, 0);
    if (!stream->is_finished || output_unsent(stream) != 0) return (nghttp2_ssize)len;

    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailer_count == 0) return (nghttp2_ssize)len;
    nghttp2_nv fields[HTTP2_FIELDS_MOST];
    size_t count = encode_fields(fields, 0, stream->trailers, stream->trailer_count);
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(nghttp2, id, fields, count) != 0) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (nghttp2_ssize)len;
}

void http2_stream_respond(struct http2_stream *stream, const char *http_status,
                          const struct http2_field *fields, size_t field_count, bool is_whole) {
    struct http2_field status = {BYTES_LITERAL(":status"), bytes_of_text(http_status)};
    stream->is_finished = is_whole;
    nghttp2_nv all[1 + HTTP2_FIELDS_MOST];
    size_t count = encode_fields(all, 0, &status, 1);
    count = encode_fields(all, count, fields, field_count);
    nghttp2_data_provider2 body = {.source.ptr = stream, .read_callback = read_output};
    // A failure is a lack of memory, or the stream is already closing: there is nobody to tell.
    if (nghttp2_submit_response2(stream->session->nghttp2, stream->id, all, count,
                                 is_whole ? NULL : &body) != 0) {
        (void)nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id,
                                        NGHTTP2_INTERNAL_ERROR);
    }
}

struct buffer *http2_stream_output(struct http2_stream *stream) {
    return &stream->output;
}

void http2_stream_flush(struct http2_stream *stream) {
    charge_output(stream);
    if (!stream->is_deferred) return;
    stream->is_deferred = false;
    (void)nghttp2_session_resume_data(stream->session->nghttp2, stream->id);
}

void http2_stream_finish(struct http2_stream *stream, const struct http2_field *trailers,
                         size_t trailer_count) {
    assert(!stream->is_finished);
    stream->trailers = trailers;
    stream->trailer_count = trailer_count;
    stream->is_finished = true;
    http2_stream_flush(stream);
}
