// SPDX-License-Identifier: Apache-2.0
// How many tokens a reply says it cost, and which model gave it: of chat completions, completions,
// embeddings and responses, as one JSON body or as the events of a stream.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct yyjson_val;

// A reply's model with a longer name is not taken.
enum { USAGE_MODEL_MOST_BYTES = 256 };

// All-zero: nothing known. A count that is no whole number from 0 to 2^53 (what a metadata number,
// a double, holds exactly) is as good as absent.
struct usage_count {
    bool is_known;
    uint64_t tokens;
};

struct usage {
    struct usage_count input;
    struct usage_count cached_input;  // part of input
    struct usage_count output;
    struct usage_count total;
    uint8_t model[USAGE_MODEL_MOST_BYTES];
    size_t model_bytes;
};

// Takes what one reply or event says. A later usage replaces an earlier one as a whole, unless no
// count in it is known; a later model replaces an earlier one.
void usage_take(struct usage *usage, struct yyjson_val *root);

// At least one count is known.
bool usage_is_known(const struct usage *usage);
