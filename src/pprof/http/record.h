// SPDX-License-Identifier: Apache-2.0
// What remains of a request: a line for the audit and counters for the metrics.
#pragma once

#include "base/bytes.h"
#include "pprof/http/refusal.h"
#include "pprof/http/token.h"
#include "pprof/pprof.h"

// Filled while the request is answered.
struct record {
    int64_t start_ns;  // monotonic
    char peer[PPROF_ADDRESS_BYTES];
    bool has_secret;               // something was sent in Authorization
    char token[TOKEN_NAME_BYTES];  // the name of the token that it is; "": of none
    const char *profile;           // static: the profile or endpoint; NULL: none of them
    bool is_quiet;                 // the index and what belongs to it: no line
    int64_t seconds;               // that the profile lasts; 0: it does not
    enum refusal refusal;
    unsigned status;  // HTTP's; 0: the client left before
    uint64_t sent_bytes;
};

// Appends `text` to `out` with every run of 16 or more characters of a token, or escaped ones, as a
// `*`: so no token is written even where somebody sent it in the wrong place. Cut after `limit`
// bytes. Pure.
MUST_USE enum status record_write_masked(struct bytes text, size_t limit, struct buffer *out);

// Counts the request, when its status is known and before the client has the answer: who has it
// finds it counted. Context: any thread.
void record_answer(const struct record *record);

// Writes the request's line to standard error, as JSON in either format of the log, and counts the
// request if it was not answered. Context: any thread.
void record_end(const struct record *record, const char *method, struct bytes path,
                struct bytes query, int64_t now_ns);

// Counts what was refused without being a request. Context: any thread.
void record_refusal(enum refusal refusal);

// See pprof.h. Context: any thread.
void record_visit_requests(void (*visit)(const char *profile, unsigned status, uint64_t count,
                                         void *context),
                           void *context);
void record_visit_refusals(void (*visit)(const char *reason, uint64_t count, void *context),
                           void *context);
uint64_t record_request_count(void);
