// SPDX-License-Identifier: Apache-2.0
// Why a request or a connection was not served, as the audit line and the metrics call it.
#pragma once

//  name, word
#define REFUSAL_TABLE(ROW)                                                                         \
    ROW(REFUSAL_NONE, "")                                                                          \
    ROW(REFUSAL_MALFORMED, "malformed") /* HTTP that could be read in two ways */                  \
    ROW(REFUSAL_HOST, "host")           /* a Host header that is not ours */                       \
    ROW(REFUSAL_SITE, "cross_site")     /* a page of another site asked */                         \
    ROW(REFUSAL_NO_TOKEN, "no_token")   /* one is needed and was not sent */                       \
    ROW(REFUSAL_WRONG_TOKEN, "wrong_token")                                                        \
    ROW(REFUSAL_TOKEN_FILE, "token_file") /* it cannot be read: nobody gets in */                  \
    ROW(REFUSAL_SECONDS, "seconds")       /* over PPROF_MAX_SECONDS */                             \
    ROW(REFUSAL_BUSY, "busy")             /* PPROF_TIMED_REQUESTS or PPROF_CPU_WINDOWS in use */   \
    ROW(REFUSAL_CROWD, "crowd")           /* a connection made room for another */                 \
    ROW(REFUSAL_SLOW, "slow")             /* a request did not arrive in time */                   \
    ROW(REFUSAL_STALLED, "stalled")       /* an answer was not taken in time */

enum refusal {
#define ROW(name, word) name,
    REFUSAL_TABLE(ROW)
#undef ROW
        REFUSAL_COUNT,
};
