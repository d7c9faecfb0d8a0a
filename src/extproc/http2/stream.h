// SPDX-License-Identifier: Apache-2.0
// A stream as the files of this folder see it; everybody else has session.h.
#pragma once

#include <nghttp2/nghttp2.h>

#include "extproc/http2/memory.h"
#include "extproc/http2/session.h"

// A header's value that is worth keeping; longer ones count as absent.
struct http2_text {
    uint8_t len;
    char data[95];
};

// What a stream of ours takes of its arena.
enum { STREAM_ROOM_BYTES = 6 << 10 };

struct http2_stream {
    struct http2_session *session;
    struct http2_stream *next, **previous_next;
    int32_t id;
    void *state;  // the handler's; NULL before open

    struct http2_text method, path, content_type;
    size_t header_bytes;

    size_t output_sent;      // of `output`, already framed
    size_t output_charged;   // of its memory, to the session's budget
    size_t window_withheld;  // received, but not given back as window yet
    const struct http2_field *trailers;
    size_t trailer_count;
    bool is_deferred;  // nghttp2 waits for http2_stream_flush
    bool is_finished;  // nothing will be added to the response

    struct buffer output;  // its memory stays for the next stream, as long as there is not much
    struct arena arena;
    _Alignas(max_align_t) uint8_t room[STREAM_ROOM_BYTES];  // the arena's
};

struct http2_session {
    nghttp2_session *nghttp2;
    const struct http2_handler *handler;
    void *context;
    struct budget *output_budget;  // NULL: none
    struct http2_stream *streams;
    struct http2_stream *latest;  // that was looked for: what comes next is often of the same
    size_t stream_count;
    struct http2_stream *idle;  // that were closed and can be used again, linked by `next`
    size_t idle_count;
    size_t taken_bytes;    // of DATA, whose window the connection has not got back yet
    struct memory memory;  // nghttp2's

    int64_t started_ns;
    int64_t received_ns;  // when the peer was last heard
    int64_t pinged_ns;    // 0: no PING of ours is under way
    int64_t drained_ns;   // 0: not draining
    bool has_preface;     // the client's first SETTINGS came
    bool has_goaway;      // the final GOAWAY is queued or sent
    bool has_peer_left;   // with a GOAWAY that nghttp2 does not like
    bool is_broken;       // we sent a GOAWAY with an error
};

// NULL when there is no memory.
struct http2_stream *http2_stream_new(struct http2_session *session, int32_t id);

// NULL: there is none, or it was refused.
struct http2_stream *http2_stream_find(struct http2_session *session, int32_t id);

// Tells the handler, unlinks, and frees or keeps for the next.
void http2_stream_free(struct http2_stream *stream);

// Frees what is kept.
void http2_stream_free_idle(struct http2_session *session);

// Keeps the header if it is one of those that are asked for.
void http2_stream_keep_header(struct http2_stream *stream, struct bytes name, struct bytes value);

// Gives `len` received bytes back as window, unless the peer leaves our answers unread: then when
// it reads on.
void http2_stream_consume(struct http2_stream *stream, size_t len);
