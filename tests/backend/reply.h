// SPDX-License-Identifier: Apache-2.0
// What the stand-in backend says: OpenAI-shaped JSON, whole or as server-sent events. Pure: it
// knows no sockets.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

enum endpoint {
    ENDPOINT_CHAT,
    ENDPOINT_COMPLETION,
    ENDPOINT_EMBEDDING,
    ENDPOINT_RESPONSE,
    ENDPOINT_OTHER,
};

// One request, as far as the reply depends on it.
struct question {
    const char *backend_name;
    const char *path;
    char *model;  // "" if the body names none
    enum endpoint endpoint;
    bool is_stream, asks_for_usage;
    uint64_t body_bytes;
    const char *body;         // to be repeated in the reply; NULL: it is not
    yyjson_mut_doc *headers;  // an object: names as they came, to text

    // Knobs, see backend.c.
    int64_t status, chunks, pad_bytes;
    int64_t input_tokens, cached_tokens, output_tokens, reasoning_tokens;
    bool is_strict;  // as OpenAI's: a stream tells its usage only when it is asked
};

enum endpoint reply_endpoint(const char *path);

// Fills `model` and `is_stream` from a request body; a body that is no JSON object leaves them as
// they are.
void reply_read_body(struct question *question, const char *body, size_t len);

// How many pieces the reply has: 1, or the number of events of a stream.
int64_t reply_piece_count(const struct question *question);

// Piece `index` of the reply: the whole JSON body or one event. The caller frees it; never NULL.
char *reply_piece(const struct question *question, int64_t index, size_t *ret_len);

void question_done(struct question *question);
