// SPDX-License-Identifier: Apache-2.0
// One request and the answer to it, without the HTTP library: what endpoints read and write.
#pragma once

#include "base/bytes.h"
#include "pprof/profile/reserve.h"

struct record;

struct request {
    const char *method;
    struct bytes path;          // as sent, escapes not decoded
    struct bytes query;         // raw, without the '?'
    struct bytes body;          // of a POST, PUT or PATCH
    bool is_form;               // the body is application/x-www-form-urlencoded
    const char *if_none_match;  // the header; NULL: none
    int client_socket;          // watched while a profile runs
    struct record *record;      // what the audit will tell of it; NULL: nothing
};

enum { FILE_NAME_BYTES = 64 };

struct answer {
    unsigned status;                  // HTTP's
    const char *content_type;         // static
    char file_name[FILE_NAME_BYTES];  // of Content-Disposition; "": not an attachment
    bool is_pprof_error;              // X-Go-Pprof: 1, which makes `go tool pprof` show the body
    bool is_plain;                    // the HTTP server's own answer: no X-Content-Type-Options
    bool closes;                      // the connection, after it
    bool is_page;                     // for a browser: the headers that bind it
    const char *etag;                 // static; the body is gzip'd then; NULL: none
    bool asks_for_token;              // WWW-Authenticate
    int64_t retry_after_seconds;      // Retry-After; 0: none
    struct buffer location;           // of a redirect; empty: none
    struct buffer body;
};

// An empty body that may grow while there is room for what all readers hold.
#define ANSWER_BODY ((struct buffer){.resize = reserve_resize})

extern const char CONTENT_TEXT[], CONTENT_HTML[], CONTENT_BINARY[];

// Replaces what the answer holds by an error in the form of Go's package: one line of text.
void answer_error(struct answer *answer, unsigned status, const char *sentence);

// 400 as Go's server gives it: the request was not understood, and nothing more is read from there.
void answer_bad_request(struct answer *answer);

// A failure of ours in the middle of making the body: 500 with the status's sentence, or 503 where
// there was no memory.
void answer_failure(struct answer *answer, enum status status);

void answer_done(struct answer *answer);

// The first value of a parameter: a form body counts before the query. STATUS_NOT_FOUND.
// Appended to `out`.
MUST_USE enum status request_find(const struct request *request, const char *key,
                                  struct buffer *out);

// Waits until `deadline_ns` (monotonic), until the client leaves or closes its sending half, or
// until request_wake_all, whichever comes first; calls `every` about twenty times a second.
// Context: any thread.
void request_wait(const struct request *request, int64_t deadline_ns, void (*every)(void));

// Makes present and future waits return at once, until request_sleep_again. Context: any thread.
void request_wake_all(void);
// Before serving starts. STATUS_SYSTEM. Context: start-up.
MUST_USE enum status request_sleep_again(void);
