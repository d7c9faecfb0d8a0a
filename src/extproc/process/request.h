// SPDX-License-Identifier: Apache-2.0
// What a request is and which model it asks for.
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "extproc/process/refusal.h"

// What a request asks for, in OpenTelemetry's words ("chat"), if its body names a model: a POST to
// one of OpenAI's paths, whatever the query. NULL: anything else. Static text.
const char *request_operation(struct bytes method, struct bytes path);

// A longer name would not fit well into Envoy's limit for all headers (60 KiB).
enum { REQUEST_MODEL_MOST_BYTES = 1024 };

// Reads the top-level "model" of a JSON body. `body` is followed by JSON_PADDING bytes that may be
// overwritten, as may be the body itself; the model points into it. False: refused, and why.
MUST_USE bool request_read_model(uint8_t *body, size_t body_bytes, struct arena *arena,
                                 struct bytes *ret_model, struct refusal *ret_refusal);
