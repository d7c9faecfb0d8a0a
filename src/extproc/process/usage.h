// SPDX-License-Identifier: Apache-2.0
// How many tokens a reply says it cost, and which model gave it: of chat completions, completions,
// embeddings and responses, as one JSON body or as the events of a stream. Read while it passes,
// cut anywhere; what is kept does not grow with it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "extproc/process/scan.h"

// A reply's model with a longer name is not taken.
enum { USAGE_MODEL_MOST_BYTES = 256 };

// All-zero: nothing known. A count that is no whole number from 0 to 2^53 (what a metadata number,
// a double, holds exactly) is as good as absent.
struct usage_count {
    bool is_known;
    uint64_t tokens;
};

enum usage_kind {
    USAGE_INPUT,
    USAGE_CACHED_INPUT,  // part of input
    USAGE_OUTPUT,
    USAGE_REASONING,  // part of output
    USAGE_TOTAL,
    USAGE_KIND_COUNT,
};

struct usage {
    struct usage_count counts[USAGE_KIND_COUNT];
    uint8_t model[USAGE_MODEL_MOST_BYTES];
    size_t model_bytes;
};

// At least one count is known.
bool usage_is_known(const struct usage *usage);

enum { USAGE_DEPTH_MOST = 5 };

struct usage_field;

// Reads one JSON text: a body, or the data of an event.
struct usage_reader {
    struct scan scan;
    uint8_t room[USAGE_MODEL_MOST_BYTES];
    uint8_t places[USAGE_DEPTH_MOST];             // by depth: which object it is that is open there
    const struct usage_field *field;              // whose value comes next; NULL: nobody's
    struct usage_count counts[USAGE_KIND_COUNT];  // of the usage that is open
};

void usage_begin(struct usage_reader *reader);

// Takes what the text says into `usage`. A later usage replaces an earlier one as a whole, unless
// no count in it is known; a later model replaces an earlier one. Returns false for what is no
// JSON.
bool usage_add(struct usage_reader *reader, struct bytes piece, struct usage *usage);

// No more pieces. False: the text is not a whole JSON value.
bool usage_end(struct usage_reader *reader);
