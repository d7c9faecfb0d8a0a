// SPDX-License-Identifier: Apache-2.0
// A connection: nghttp2's settings, its events, and the times of the peer's silence and of the
// drain.
#include "extproc/http2/session.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "extproc/http2/stream.h"

// Envoy ends every ext_proc stream with RST_STREAM, so nghttp2's defence against rapid resets (1000
// at first, 33 a second) would close the connections of a busy Envoy. A stream that is reset costs
// no more than one that is answered.
#define RESETS_MOST 1000000

#define PREFACE_MOST_NS (10 * NS_PER_SECOND)
#define SILENCE_NS (60 * NS_PER_SECOND)      // then a PING asks whether the peer is still there
#define PING_ANSWER_NS (20 * NS_PER_SECOND)  // and it has this long to say anything
// For the round trip between the two GOAWAYs, and for the preface of one that has just come.
#define DRAIN_ANSWER_NS (2 * NS_PER_SECOND)

enum { CLOGGED_FRAMES = 10000 };  // some 2 MB; a burst of requests queues a few thousand

static const uint8_t ping_alive[8] = "alive?";
static const uint8_t ping_drain[8] = "drain";

static struct bytes rcbuf_bytes(nghttp2_rcbuf *rcbuf) {
    nghttp2_vec vec = nghttp2_rcbuf_get_buf(rcbuf);
    return bytes_of(vec.base, vec.len);
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data) {
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct http2_stream *stream = http2_stream_new(user_data, frame->hd.stream_id);
    if (stream == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return nghttp2_session_set_stream_user_data(nghttp2, frame->hd.stream_id, stream);
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user_data) {
    (void)flags;
    int32_t id = frame->hd.stream_id;
    struct http2_stream *stream = http2_stream_find(user_data, id);
    if (stream == NULL) return 0;
    // "The value is based on the uncompressed size of field lines, including the length of the name
    // and value in units of octets plus an overhead of 32 octets for each field line."
    // https://www.rfc-editor.org/rfc/rfc9113.html#section-6.5.2
    stream->header_bytes += rcbuf_bytes(name).len + rcbuf_bytes(value).len + 32;
    if (stream->header_bytes > HTTP2_HEADER_LIST_BYTES) {
        (void)nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    http2_stream_keep_header(stream, rcbuf_bytes(name), rcbuf_bytes(value));
    return 0;
}

static int open_stream(struct http2_session *session, struct http2_stream *stream) {
    struct http2_request request = {
        .method = bytes_of(stream->method.data, stream->method.len),
        .path = bytes_of(stream->path.data, stream->path.len),
        .content_type = bytes_of(stream->content_type.data, stream->content_type.len),
    };
    stream->state = session->handler->open(session->context, stream, &request);
    if (stream->state != NULL) return 0;
    return nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream->id,
                                     NGHTTP2_REFUSED_STREAM);
}

static void send_goaway(struct http2_session *session) {
    if (session->has_goaway) return;
    session->has_goaway = true;
    (void)nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session->nghttp2),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

static int on_frame_recv(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data) {
    (void)nghttp2;
    struct http2_session *session = user_data;
    bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    if (frame->hd.type == NGHTTP2_SETTINGS && !is_ack) {
        session->has_preface = true;
    }
    if (frame->hd.type == NGHTTP2_PING && is_ack &&
        memcmp(frame->ping.opaque_data, ping_drain, sizeof(ping_drain)) == 0) {
        send_goaway(session);
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;

    struct http2_stream *stream = http2_stream_find(session, frame->hd.stream_id);
    if (stream == NULL) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        int error = open_stream(session, stream);
        if (error != 0) return error;
    }
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (is_end && stream->state != NULL) session->handler->end(stream->state);
    return 0;
}

static int on_data_chunk_recv(nghttp2_session *nghttp2, uint8_t flags, int32_t id,
                              const uint8_t *data, size_t len, void *user_data) {
    (void)flags;
    (void)nghttp2;
    struct http2_session *session = user_data;
    session->taken_bytes += len;
    struct http2_stream *stream = http2_stream_find(session, id);
    if (stream == NULL || stream->state == NULL) return 0;
    session->handler->data(stream->state, bytes_of(data, len));
    http2_stream_consume(stream, len);
    return 0;
}

// "A server MAY request that the client abort transmission of a request without error by sending a
// RST_STREAM with an error code of NO_ERROR after sending a complete response":
// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.1
static int on_frame_send(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data) {
    struct http2_session *session = user_data;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        session->is_broken = !session->has_peer_left;
    }
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool has_flags = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!has_flags || !is_end) return 0;
    if (nghttp2_session_get_stream_remote_close(nghttp2, frame->hd.stream_id) != 0) return 0;
    return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_NO_ERROR);
}

// A Go client that leaves names its own last stream where ours belongs. It is gone, not broken.
static int on_invalid_frame_recv(nghttp2_session *nghttp2, const nghttp2_frame *frame, int error,
                                 void *user_data) {
    (void)nghttp2;
    (void)error;
    struct http2_session *session = user_data;
    if (frame->hd.type == NGHTTP2_GOAWAY) session->has_peer_left = true;
    return 0;
}

static int on_stream_close(nghttp2_session *nghttp2, int32_t id, uint32_t error_code,
                           void *user_data) {
    (void)nghttp2;
    (void)error_code;
    struct http2_stream *stream = http2_stream_find(user_data, id);
    if (stream != NULL) http2_stream_free(stream);
    return 0;
}

static enum status new_nghttp2(struct http2_session *session) {
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    enum status status = STATUS_NO_MEMORY;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) goto done;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk_recv);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);

    if (nghttp2_option_new(&option) != 0) goto done;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_MOST, RESETS_MOST);
    nghttp2_mem memory = memory_functions(&session->memory);
    if (nghttp2_session_server_new3(&session->nghttp2, callbacks, session, option, &memory) != 0) {
        goto done;
    }
    status = STATUS_OK;
done:
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return status;
}

static enum status submit_settings(struct http2_session *session,
                                   const struct http2_options *options) {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->streams_most},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP2_HEADER_LIST_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},  // else closed streams are kept as tree nodes
    };
    if (nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, settings,
                                COUNT_OF(settings)) != 0) {
        return STATUS_NO_MEMORY;
    }
    if (nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0,
                                              HTTP2_CONNECTION_WINDOW_BYTES) != 0) {
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

enum status http2_session_new(const struct http2_options *options,
                              const struct http2_handler *handler, void *context, int64_t now_ns,
                              struct http2_session **ret_session) {
    struct http2_session *session = calloc(1, sizeof(*session));
    if (session == NULL) return STATUS_NO_MEMORY;
    session->handler = handler;
    session->context = context;
    session->output_budget = options->output_budget;
    session->started_ns = now_ns;
    session->received_ns = now_ns;
    enum status status = new_nghttp2(session);
    if (status == STATUS_OK) status = submit_settings(session, options);
    if (status != STATUS_OK) {
        http2_session_free(session);
        return status;
    }
    *ret_session = session;
    return STATUS_OK;
}

// Connections that rest keep nothing for requests that may not come.
static void drop_idle_memory(struct http2_session *session) {
    if (session->stream_count != 0) return;
    http2_stream_free_idle(session);
    memory_done(&session->memory);
}

void http2_session_free(struct http2_session *session) {
    if (session == NULL) return;
    while (session->streams != NULL) {
        http2_stream_free(session->streams);
    }
    nghttp2_session_del(session->nghttp2);
    drop_idle_memory(session);
    free(session);
}

// The connection's, once for all frames: what a stream may not take stops nobody else.
static int give_window_back(struct http2_session *session) {
    size_t taken_bytes = session->taken_bytes;
    session->taken_bytes = 0;
    return nghttp2_session_consume_connection(session->nghttp2, taken_bytes);
}

enum status http2_session_receive(struct http2_session *session, struct bytes bytes,
                                  int64_t now_ns) {
    session->received_ns = now_ns;
    session->pinged_ns = 0;
    nghttp2_ssize taken = nghttp2_session_mem_recv2(session->nghttp2, bytes.data, bytes.len);
    if (taken >= 0) taken = give_window_back(session);
    if (taken >= 0) return STATUS_OK;
    (void)nghttp2_session_terminate_session(session->nghttp2, taken == NGHTTP2_ERR_FLOODED
                                                                  ? NGHTTP2_ENHANCE_YOUR_CALM
                                                                  : NGHTTP2_PROTOCOL_ERROR);
    return taken == NGHTTP2_ERR_NOMEM ? STATUS_NO_MEMORY : STATUS_MALFORMED;
}

enum status http2_session_send(struct http2_session *session, struct buffer *output,
                               size_t enough_bytes) {
    while (output->len < enough_bytes) {
        const uint8_t *frame;
        nghttp2_ssize len = nghttp2_session_mem_send2(session->nghttp2, &frame);
        if (len == 0) return STATUS_OK;
        if (len < 0) return len == NGHTTP2_ERR_NOMEM ? STATUS_NO_MEMORY : STATUS_LIBRARY;
        enum status status = buffer_append(output, bytes_of(frame, (size_t)len));
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

bool http2_session_is_done(const struct http2_session *session) {
    return nghttp2_session_want_read(session->nghttp2) == 0 &&
           nghttp2_session_want_write(session->nghttp2) == 0;
}

bool http2_session_is_broken(const struct http2_session *session) {
    return session->is_broken;
}

bool http2_session_is_clogged(const struct http2_session *session) {
    return nghttp2_session_get_outbound_queue_size(session->nghttp2) > CLOGGED_FRAMES;
}

size_t http2_session_stream_count(const struct http2_session *session) {
    return session->stream_count;
}

enum status http2_session_tick(struct http2_session *session, int64_t now_ns) {
    drop_idle_memory(session);
    if (!session->has_preface) {
        int64_t most_ns = session->drained_ns != 0 ? DRAIN_ANSWER_NS : PREFACE_MOST_NS;
        return now_ns - session->started_ns > most_ns ? STATUS_TRUNCATED : STATUS_OK;
    }
    if (session->drained_ns != 0 && now_ns - session->drained_ns > DRAIN_ANSWER_NS) {
        send_goaway(session);
    }
    if (session->pinged_ns != 0) {
        return now_ns - session->pinged_ns > PING_ANSWER_NS ? STATUS_TRUNCATED : STATUS_OK;
    }
    if (now_ns - session->received_ns < SILENCE_NS) return STATUS_OK;
    session->pinged_ns = now_ns;
    int error = nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, ping_alive);
    return error == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

void http2_session_drain(struct http2_session *session, int64_t now_ns) {
    if (session->drained_ns != 0) return;
    session->drained_ns = now_ns;
    // Where memory is short, http2_session_tick sends the GOAWAY.
    (void)nghttp2_submit_shutdown_notice(session->nghttp2);
    (void)nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, ping_drain);
}
