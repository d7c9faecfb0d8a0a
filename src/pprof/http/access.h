// SPDX-License-Identifier: Apache-2.0
// Who gets in: the Host header (against DNS rebinding), what the browser says of the page that asks
// (against pages of other sites), the token. In this order, and before anything of the request's
// body is read.
#pragma once

#include "pprof/http/exchange.h"
#include "pprof/http/refusal.h"
#include "pprof/http/token.h"
#include "pprof/pprof.h"

// Borrowed for ever.
struct access_rules {
    const char *token_file;     // NULL or "": no token is asked for
    bool asks_loopback;         // for the token, too
    const char *allowed_hosts;  // names with commas, besides localhost and addresses; NULL: none
};

// 0, or the reason in `ret_message` with the setting's name. Context: start-up.
int access_init(const struct access_rules *rules, char ret_message[PPROF_MESSAGE_BYTES]);

// What the answer depends on, and nothing else of the request does.
struct visitor {
    bool is_loopback;
    struct bytes host;    // as sent, with its port; empty: none
    struct bytes secret;  // of Authorization
    bool has_secret;
    bool is_from_elsewhere;  // Sec-Fetch-Site is neither `none` nor `same-origin`
    bool is_navigation;      // Sec-Fetch-Mode is `navigate`
    bool is_document;        // Sec-Fetch-Dest is `document`: a whole page, not a frame in one
    bool wants_index;        // GET of the index
};

struct pass {
    enum refusal refusal;
    bool is_known;                 // a token was sent and is one of ours
    char token[TOKEN_NAME_BYTES];  // its name
};

// Decides; where the token's file is at fault, it is logged once until it is well again. Context:
// any thread.
struct pass access_check(const struct visitor *visitor);

// The answer to a refusal of access_check.
void access_answer(enum refusal refusal, struct answer *answer);

// Takes one header of a request after the other.
void access_add_header(struct visitor *visitor, struct bytes name, struct bytes value);
