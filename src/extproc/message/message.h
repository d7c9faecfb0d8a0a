// SPDX-License-Identifier: Apache-2.0
// The messages of envoy.service.ext_proc.v3 as the rest of extproc sees them; the protobuf library
// stays inside this folder. Decoding copies headers into the arena and leaves bodies where they
// are; encoding copies into the buffer only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

// In the order in which they come; only bodies come more than once.
enum message_kind {
    MESSAGE_REQUEST_HEADERS,
    MESSAGE_REQUEST_BODY,
    MESSAGE_REQUEST_TRAILERS,
    MESSAGE_RESPONSE_HEADERS,
    MESSAGE_RESPONSE_BODY,
    MESSAGE_RESPONSE_TRAILERS,
    MESSAGE_KIND_COUNT,
};

// Numbers of ProcessingMode.BodySendMode; an unknown number is possible.
enum message_body_mode {
    MESSAGE_BODY_NONE = 0,
    MESSAGE_BODY_STREAMED = 1,
    MESSAGE_BODY_BUFFERED = 2,
    MESSAGE_BODY_BUFFERED_PARTIAL = 3,
    MESSAGE_BODY_FULL_DUPLEX = 4,
};

struct message_header {
    struct bytes name;  // lower case
    struct bytes value;
};

// How a stream's first message tells that the filter is configured.
struct message_modes {
    uint32_t request_body;  // enum message_body_mode
    uint32_t response_body;
    bool sends_body_early;  // send_body_without_waiting_for_header_response
};

// A ProcessingRequest. Everything lives as long as the arena's content and what was decoded.
struct message {
    enum message_kind kind;
    bool end_of_stream;            // headers, bodies
    bool is_observed;              // observability_mode: nobody waits for an answer
    bool is_from_upstream_filter;  // Envoy has chosen the endpoint already
    bool has_modes;
    struct message_modes modes;
    struct bytes route;    // the name of the route that Envoy has chosen; empty: it does not tell
    struct bytes backend;  // and of the backend, as the Envoy AI Gateway names it
    struct message_header *headers;  // headers only
    size_t header_count;
    struct bytes body;  // bodies only
};

// STATUS_MALFORMED: not a ProcessingRequest. STATUS_UNSUPPORTED: of a kind that we do not know.
// STATUS_NO_MEMORY: the arena gave none.
MUST_USE enum status message_decode(struct bytes serialised, struct arena *arena,
                                    struct message *ret_message);

// The first header of this (lower-case) name; empty when there is none.
static inline struct bytes message_find_header(const struct message *message, struct bytes name) {
    for (size_t i = 0; i < message->header_count; i++) {
        if (bytes_equal(message->headers[i].name, name)) return message->headers[i].value;
    }
    return BYTES_EMPTY;
}

enum { MESSAGE_SET_HEADERS_MOST = 3, MESSAGE_METADATA_MOST = 10, MESSAGE_BODY_PARTS_MOST = 3 };

// A field of a namespace of the dynamic metadata: a number, or with is_text a string.
struct message_metadata {
    struct bytes key;
    bool is_text;
    double number;
    struct bytes text;  // UTF-8
};

// A reply to the client in place of what Envoy would do.
struct message_immediate {
    unsigned http_status;
    const char *content_type;
    struct bytes body;
    const char *details;  // for Envoy's access log, %RESPONSE_CODE_DETAILS%
};

// What becomes of the body, or of the piece of it, that is answered.
enum message_body_change {
    MESSAGE_BODY_STAYS,
    MESSAGE_BODY_REPLACED,  // by what is given
    // What is given is the next piece: in the mode FULL_DUPLEX_STREAMED nothing passes that is not
    // sent back.
    MESSAGE_BODY_PASSED,
};

// A ProcessingResponse. All-zero but for `kind` it says "go on". Only borrows.
struct message_answer {
    enum message_kind kind;                     // of the message that is answered
    const struct message_immediate *immediate;  // if set, only this is sent

    // headers and bodies
    struct message_header set_headers[MESSAGE_SET_HEADERS_MOST];  // overwritten or added
    size_t set_header_count;
    const struct bytes *remove_headers;
    size_t remove_header_count;
    bool clears_route_cache;

    // headers: which bodies Envoy sends from now on, as far as they are to come yet. With a
    // streamed body of the response its trailers are sent too: when there are some, no piece is the
    // last.
    bool overrides_mode;
    enum message_body_mode request_body_mode;
    enum message_body_mode response_body_mode;

    // bodies
    enum message_body_change body_change;
    struct bytes body[MESSAGE_BODY_PARTS_MOST];  // one behind the other
    bool body_is_last;                           // MESSAGE_BODY_PASSED: end_of_stream

    // every kind
    // In the namespace io.envoy.ai_gateway.
    size_t metadata_count;
    struct message_metadata metadata[MESSAGE_METADATA_MOST];
};

// Appends the serialised answer. STATUS_NO_MEMORY, STATUS_TOO_LARGE (the buffer's limit): nothing
// was appended. `arena` is used for the call only, but not reset.
MUST_USE enum status message_encode(const struct message_answer *answer, struct arena *arena,
                                    struct buffer *serialised);
