// SPDX-License-Identifier: Apache-2.0
// The files of the page, embedded in the program: src/pprof/page/*, made into C by embed.sh there.
// All of them are under page/, which is the prefix for whoever has to allow or forbid them.
#pragma once

#include "pprof/http/exchange.h"

struct asset {
    const char *name;  // below /debug/pprof/
    const char *content_type;
    const char *etag;   // with its quotes
    struct bytes file;  // gzip'd
};

extern const struct asset assets[];
extern const size_t asset_count;

// The HTML that the index ends in: a template, which a browser shows nothing of by itself.
extern const struct bytes asset_viewer;

// NULL: there is none of that name, which is relative to /debug/pprof/.
const struct asset *asset_find(struct bytes name);

// The file, always gzip'd (every browser takes that; curl has --compressed), or 304 to who has it.
void asset_answer(const struct asset *asset, const struct request *request, struct answer *answer);
