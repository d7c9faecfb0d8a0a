// SPDX-License-Identifier: Apache-2.0
// The server side of one HTTP/2 connection (RFC 9113), without I/O: bytes in, bytes out, the time
// as an argument. It knows requests, responses and flow control; what a request means is its
// handler's business.
//
//     received bytes ─► http2_session_receive ─► handler.open, .data, .end, .close
//     http2_stream_respond, _output, _flush, _finish ─► http2_session_send ─► bytes to write
//
// Memory of a connection is bounded: a stream whose answers are not read stops being given window,
// headers are limited, and the caller takes output only when it can write it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

struct http2_session;
struct http2_stream;

enum {
    HTTP2_WINDOW_BYTES = 1 << 20,  // what a stream may send ahead; a message of 1 MB does not stall
    HTTP2_CONNECTION_WINDOW_BYTES =
        16 << 20,                        // input is consumed at once, so this only covers the way
    HTTP2_HEADER_LIST_BYTES = 64 << 10,  // SETTINGS_MAX_HEADER_LIST_SIZE
    HTTP2_FIELDS_MOST = 4,               // in a response or in trailers, `:status` not counted
};

// What is kept of a request's headers; the texts live during the call of handler.open. One that is
// absent, or longer than anything that could match, is empty.
struct http2_request {
    struct bytes method;
    struct bytes path;
    struct bytes content_type;
};

struct http2_field {
    struct bytes name;  // lower case
    struct bytes value;
};

// What happens on a stream. Rules:
//   1. Called only inside http2_session_receive, http2_session_send and http2_session_free, on
//   their thread.
//   2. open returns the state that the others get; NULL (no memory) resets the stream and nothing
//   else is called.
//   3. data gets each piece of the body as it comes, end the end of the peer's side; neither comes
//   after close.
//   4. close is the last call, in whatever state the stream is (a peer's RST_STREAM is the usual
//   end). Until it, the
//      stream may be written to; what can not be sent any more is dropped silently.
//   5. A callback may call the http2_stream functions, not those of the session.
struct http2_handler {
    void *(*open)(void *context, struct http2_stream *stream, const struct http2_request *request);
    void (*data)(void *state, struct bytes piece);
    void (*end)(void *state);
    void (*close)(void *state);
};

struct budget;

struct http2_options {
    uint32_t streams_most;         // SETTINGS_MAX_CONCURRENT_STREAMS
    struct budget *output_budget;  // charged with bodies that the peer has not read; NULL: none
};

// `handler` is borrowed until http2_session_free; `context` is handed to handler->open.
MUST_USE enum status http2_session_new(const struct http2_options *options,
                                       const struct http2_handler *handler, void *context,
                                       int64_t now_ns, struct http2_session **ret_session);

// Accepts NULL. Closes the streams that are open.
void http2_session_free(struct http2_session *session);

// Takes what came from the peer. Not STATUS_OK: the connection is beyond repair (no HTTP/2, a
// flood, no memory); send what http2_session_send still gives (a GOAWAY) and close it.
MUST_USE enum status http2_session_receive(struct http2_session *session, struct bytes bytes,
                                           int64_t now_ns);

// Appends whole frames to `output` until it holds `enough_bytes` or nothing is left to send; the
// last frame may go 16 KiB over. Not STATUS_OK: close the connection.
MUST_USE enum status http2_session_send(struct http2_session *session, struct buffer *output,
                                        size_t enough_bytes);

// Both sides are done (GOAWAY was sent or received and no stream is left): close the connection.
bool http2_session_is_done(const struct http2_session *session);

// The peer broke the protocol.
bool http2_session_is_broken(const struct http2_session *session);

// More than a well-behaved peer makes us queue; don't read until some of it was sent.
bool http2_session_is_clogged(const struct http2_session *session);

size_t http2_session_stream_count(const struct http2_session *session);

// To be called every second or so: gives back what is kept for streams when there are none, sends a
// PING to a peer that was silent for a minute and ends the drain of one that does not acknowledge.
// Not STATUS_OK: the peer did not begin to talk HTTP/2 in time (10 s; 2 s when it drains) or does
// not answer; close the connection.
MUST_USE enum status http2_session_tick(struct http2_session *session, int64_t now_ns);

// Begins to drain: announces the GOAWAY, and sends it with the last stream's number as soon as a
// PING has gone to the peer and back, so that no request under way is lost. Streams go on;
// http2_session_is_done tells when they have ended.
// (https://www.rfc-editor.org/rfc/rfc9113.html#section-6.8)
void http2_session_drain(struct http2_session *session, int64_t now_ns);

// Memory that lives until the close of the stream has returned.
struct arena *http2_stream_arena(struct http2_stream *stream);

// Sends the response's header section, once. `is_whole`: neither body nor trailers follow.
void http2_stream_respond(struct http2_stream *stream, const char *http_status,
                          const struct http2_field *fields, size_t field_count, bool is_whole);

// The body that is not sent yet: append to it, then call http2_stream_flush. Bytes already there
// stay untouched.
struct buffer *http2_stream_output(struct http2_stream *stream);
void http2_stream_flush(struct http2_stream *stream);

// Sends trailers, if any, behind the body, once, and then asks the peer to stop if it has not ended
// its side. The fields and their texts must live until the stream's close.
void http2_stream_finish(struct http2_stream *stream, const struct http2_field *trailers,
                         size_t trailer_count);
