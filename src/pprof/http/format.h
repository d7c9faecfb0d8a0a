// SPDX-License-Identifier: Apache-2.0
// The form in which a profile is answered: the gzip'd protobuf, or for a terminal format=folded or
// format=top, of the sample type that sample_index= names (the name is pprof's).
#pragma once

#include "pprof/http/exchange.h"
#include "pprof/profile/profile.h"

struct format {
    // Writes the profile; `value` is a number of a sample type.
    enum status (*write)(const struct profile *profile, size_t value, struct buffer *out);
    size_t value;
    bool is_text;
};

// Reads both parameters before any work is done. False: one of them is wrong, and the answer says
// which. `types` and `default_type` are those of struct profile.
bool format_read(const struct request *request, const struct profile_type types[SAMPLE_VALUES],
                 const char *default_type, struct format *ret_format, struct answer *answer);
