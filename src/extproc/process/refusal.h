// SPDX-License-Identifier: Apache-2.0
// Why a request is turned down, and how its client is told: the error form of OpenAI's API,
//   {"error":{"message":"…","type":"invalid_request_error","param":"model","code":"model_missing"}}
// The code is also the metric's label and, as extproc_CODE, Envoy's response code details.
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "extproc/metrics.h"

#define INVALID_REQUEST "invalid_request_error"
#define SERVER_ERROR "server_error"

//      kind, HTTP status, code, type, param or NULL, metric
#define REFUSAL_TABLE(ROW)                                                                         \
    ROW(REFUSAL_BODY_MISSING, 400, "body_missing", INVALID_REQUEST, NULL,                          \
        METRIC_REQUESTS_BODY_MISSING)                                                              \
    ROW(REFUSAL_BODY_TOO_LARGE, 413, "body_too_large", INVALID_REQUEST, NULL,                      \
        METRIC_REQUESTS_TOO_LARGE)                                                                 \
    ROW(REFUSAL_BODY_ENCODED, 415, "body_encoded", INVALID_REQUEST, NULL,                          \
        METRIC_REQUESTS_BODY_ENCODED)                                                              \
    ROW(REFUSAL_BODY_NOT_BUFFERED, 500, "body_not_buffered", SERVER_ERROR, NULL,                   \
        METRIC_REQUESTS_NOT_BUFFERED)                                                              \
    ROW(REFUSAL_MALFORMED_JSON, 400, "malformed_json", INVALID_REQUEST, NULL,                      \
        METRIC_REQUESTS_MALFORMED)                                                                 \
    ROW(REFUSAL_MODEL_MISSING, 400, "model_missing", INVALID_REQUEST, "model",                     \
        METRIC_REQUESTS_MODEL_MISSING)                                                             \
    ROW(REFUSAL_MODEL_INVALID, 400, "model_invalid", INVALID_REQUEST, "model",                     \
        METRIC_REQUESTS_MODEL_INVALID)                                                             \
    ROW(REFUSAL_MODEL_DUPLICATE, 400, "model_duplicate", INVALID_REQUEST, "model",                 \
        METRIC_REQUESTS_MODEL_DUPLICATE)                                                           \
    ROW(REFUSAL_OVERLOADED, 503, "overloaded", SERVER_ERROR, NULL, METRIC_REQUESTS_OVERLOADED)

enum refusal_kind {
    REFUSAL_NONE,
#define ROW(kind, status, code, type, param, metric) kind,
    REFUSAL_TABLE(ROW)
#undef ROW
};

struct refusal {
    enum refusal_kind kind;
    char message[192];  // ASCII, for the client
};

struct refusal_row {
    unsigned http_status;
    const char *code;
    const char *details;
    const char *type;
    const char *param;
    enum metric metric;
};

// For every kind but REFUSAL_NONE.
const struct refusal_row *refusal_row(enum refusal_kind kind);

// Fills a refusal; a message that is too long is cut.
void refusal_set(struct refusal *ret_refusal, enum refusal_kind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);

// The JSON body, in the arena. STATUS_NO_MEMORY.
MUST_USE enum status refusal_encode(const struct refusal *refusal, struct arena *arena,
                                    struct bytes *ret_body);
