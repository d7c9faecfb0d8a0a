// SPDX-License-Identifier: Apache-2.0
// How whoever profiles the program learns what a thread works on. The processor knows nothing of
// profiles: main.c fills this in, and without it nothing is called.
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

// All three: context any thread; enter and leave cost nanoseconds.
struct observer {
    // The number for what `before` stands for (0: nothing) and, besides, this value of "operation"
    // ("chat"), "model" or "route", as soon as it is there. `is_known`: no mere claim of a client;
    // a model is told as a claim with the request, and as known with a good reply. Bounding how
    // many are told apart is the observer's business.
    uint32_t (*label)(uint32_t before, const char *key, struct bytes value, bool is_known);
    // The calling thread works on what has this number, until leave is given what enter returned.
    uint32_t (*enter)(uint32_t label);
    void (*leave)(uint32_t before);
};
