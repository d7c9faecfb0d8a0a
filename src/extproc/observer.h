// SPDX-License-Identifier: Apache-2.0
// How whoever profiles the program learns what a thread works on. The processor knows nothing of
// profiles: main.c fills this in, and without it nothing is called.
#pragma once

#include "base/bytes.h"

// All three: context any thread; enter and leave cost nanoseconds.
struct observer {
    // The number under which samples carry an operation ("chat") and a model (empty: not known
    // yet); 0: none. Values come from clients: bounding how many are told apart is the observer's
    // business.
    uint32_t (*label)(const char *operation, struct bytes model);
    // The calling thread works on what has this number, until leave is given what enter returned.
    uint32_t (*enter)(uint32_t label);
    void (*leave)(uint32_t before);
};
