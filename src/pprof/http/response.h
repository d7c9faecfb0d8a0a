// SPDX-License-Identifier: Apache-2.0
// From an answer to what libmicrohttpd sends.
#pragma once

#include <microhttpd.h>

#include "pprof/http/exchange.h"

// Makes the response; the answer's body is moved into it. Counts into `sent_bytes`, which must stay
// until the request is over, what of the body was handed to the client. NULL: no memory.
struct MHD_Response *response_make(struct answer *answer, const char *method, const char *version,
                                   uint64_t *sent_bytes);
