// SPDX-License-Identifier: Apache-2.0
// Requests that last for seconds: how long and how many at once.
#pragma once

#include "pprof/http/exchange.h"

// The longest profile, and how many timed requests there may be, up to PPROF_TIMED_REQUESTS_MOST.
// Before: the defaults. Context: start-up.
void timed_init(int64_t seconds_most, uint32_t places);

// The longest that may be asked for.
int64_t timed_seconds_most(void);

// Takes a place for `seconds`, or answers: 400 if that is too long, 429 if all places are taken,
// with Retry-After for when the first of them should be free. False: it answered. Context: any
// thread.
bool timed_begin(const struct request *request, int64_t seconds, int *ret_place,
                 struct answer *answer);
void timed_end(int place);

// How many run, and how many nanoseconds those that ended have lasted. Context: any thread.
size_t timed_running(void);
int64_t timed_total_ns(void);
