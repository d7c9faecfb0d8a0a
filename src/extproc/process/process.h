// SPDX-License-Identifier: Apache-2.0
// One stream of envoy.service.ext_proc.v3.ExternalProcessor/Process, as a pure state machine: a
// serialised ProcessingRequest in, a serialised ProcessingResponse out. No I/O, no clock, no locks,
// no knowledge of gRPC frames. One request through Envoy is one stream, and no state is joined
// across streams.
//
// What the caller (the gRPC side) has to do:
//   1. One process_stream per gRPC stream, made when the stream's HEADERS arrive, used by one
//      thread at a time.
//   2. Call process_stream_receive once for each complete gRPC message, in order. `message` is
//      borrowed for the call only. A compressed message (flag 1) is not for us: end the stream with
//      UNIMPLEMENTED.
//   3. When a length prefix announces more than process_message_limit_bytes, do not collect that
//      message: call process_stream_refuse instead, once, as soon as the prefix is known.
//   4. has_answer: exactly one serialised ProcessingResponse was appended to `answer`; the 5-byte
//      prefix is the caller's (append it before the call, fill in the length after). Otherwise
//      `answer` is unchanged. has_more: call process_stream_more for the next one, before anything
//      else.
//      owes_all: take the next message whatever it costs, or the client's traffic is cut.
//   5. ends_stream: send the answer (if any), then trailers with grpc_status and grpc_message, and
//      give the stream no further message (one that comes all the same gets the same verdict,
//      without an answer).
//   6. process_stream_free at any time: after the trailers, or at RST_STREAM in whatever state
//      (Envoy ends every stream so, also the good ones).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct arena;
struct budget;
struct metrics;
struct models;
struct observer;
struct process_stream;

// Immutable, shared by all streams and threads; outlives them.
struct process_options {
    size_t body_limit_bytes;          // a request body over this is answered with 413; of a reply
                                      // that is compressed, no more is inflated
    bool asks_for_usage;              // streaming requests that do not are made to
    struct budget *budget;            // of the bodies that are held; NULL: no limit
    struct models *models;            // what GET /v1/models is answered with; NULL: it passes
    const struct observer *observer;  // NULL: nobody watches
};

struct process_verdict {
    bool has_answer;
    bool has_more;
    bool owes_all;  // Envoy keeps nothing of what comes next: if it is refused, it is lost
    bool ends_stream;
    int grpc_status;           // with ends_stream: a code of gRPC, 0 is OK
    const char *grpc_message;  // static ASCII text without '%', "" when there is nothing to say
};

// The largest serialised ProcessingRequest that process_stream_receive should be given: a body at
// its limit, and 1 MiB for headers and framing. Context: any thread.
static inline size_t process_message_limit_bytes(const struct process_options *options) {
    return options->body_limit_bytes + ((size_t)1 << 20);
}

// NULL when there is no memory. `options`, `metrics` (the counters of this thread) and `arena`,
// which holds the stream, are borrowed until the free.
struct process_stream *process_stream_new(const struct process_options *options,
                                          struct metrics *metrics, struct arena *arena);

// Decides on one message. Never fails: what goes wrong is in the verdict (undecodable:
// INVALID_ARGUMENT, no memory: RESOURCE_EXHAUSTED; Envoy then answers 500 to its client). `now_ns`
// is of a clock that does not go back.
struct process_verdict process_stream_receive(struct process_stream *stream, struct bytes message,
                                              int64_t now_ns, struct buffer *answer);

// The next answer, after a verdict with has_more.
struct process_verdict process_stream_more(struct process_stream *stream, struct buffer *answer);

// Why a message is not collected: it is longer than process_message_limit_bytes, or there is no
// memory for it now.
enum process_refusal { PROCESS_TOO_LARGE, PROCESS_OVERLOADED };

// Decides on a message that is not collected: an awaited request body gets a 413 or a 503; a reply
// or a request that is not ours goes on without us (the stream ends with OK), but after owes_all is
// cut (RESOURCE_EXHAUSTED); request headers that are too long fail with the same, because going on
// without us would let them pass unchecked.
struct process_verdict process_stream_refuse(struct process_stream *stream,
                                             enum process_refusal why, int64_t now_ns,
                                             struct buffer *answer);

// Instead of a stream, when there are too many: its request gets a 503.
struct process_verdict process_turn_away(const struct process_options *options,
                                         struct metrics *metrics, struct buffer *answer);

// What the stream waits for, as static text, and the observer's number for what it is about.
const char *process_stream_state(const struct process_stream *stream);
uint32_t process_stream_label(const struct process_stream *stream);

// Envoy is done with the stream: what is left to be counted is. Only process_stream_free may
// follow.
void process_stream_close(struct process_stream *stream, int64_t now_ns);

// Frees what the arena does not hold. Accepts NULL.
void process_stream_free(struct process_stream *stream);
