// SPDX-License-Identifier: Apache-2.0
// What a request is, which model it asks for, and how it is made to ask for its usage. The body is
// read while it passes, cut anywhere: the model is known as soon as its last byte is there, and the
// rest is still checked. What is kept does not grow with the body.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "extproc/process/refusal.h"
#include "extproc/process/scan.h"

// What a request asks for, in OpenTelemetry's words ("chat"), if its body names a model: a POST to
// one of OpenAI's paths, whatever the query. NULL: anything else. Static text.
const char *request_operation(struct bytes method, struct bytes path);

// Whether it is for the list of models.
bool request_asks_for_models(struct bytes method, struct bytes path);

// Whether a stream of this operation tells its usage only when it is asked to.
bool request_may_ask_for_usage(const char *operation);

// A longer name would not fit well into Envoy's limit for all headers (60 KiB).
enum { REQUEST_MODEL_MOST_BYTES = 1024 };

// A change of the body: the bytes from `from` to `to` give way to `text`; both are offsets in it.
struct request_edit {
    size_t from, to;
    const char *text;  // static; NULL: there is nothing to change
};

struct request {
    bool is_stream;
    bool knows_stream;  // whether it is one has been said
    struct request_edit edit;
    size_t model_bytes;  // 0: not known yet
    uint8_t field;       // of which the value comes next
    uint8_t options;     // what is known of stream_options
    bool is_object;
    bool has_model_key;
    struct scan scan;
    uint8_t room[REQUEST_MODEL_MOST_BYTES];  // the scanner's, and then the model
    uint8_t key_room[32];                    // the scanner's, once the model is known
};

void request_init(struct request *request);

// Takes a piece of the body. False: refused, and why.
MUST_USE bool request_add(struct request *request, struct bytes piece, struct refusal *ret_refusal);

// The body ends here. False: refused, and why; else the model is known.
MUST_USE bool request_end(struct request *request, struct refusal *ret_refusal);

// Whether what came is a whole object, so that nothing of meaning can follow.
bool request_is_whole(const struct request *request);

// Of the `length` bytes that came, how many can pass on: what is behind them may have to change, if
// this turns out to be a stream, or once its last word is whole.
size_t request_settled_bytes(const struct request *request, size_t length);

// Empty: not known yet. It can be sent as a header.
static inline struct bytes request_model(const struct request *request) {
    return bytes_of(request->room, request->model_bytes);
}
