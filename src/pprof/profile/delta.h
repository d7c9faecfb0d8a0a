// SPDX-License-Identifier: Apache-2.0
// What happened between two snapshots: after minus before, by stack and labels. Samples that come
// out all zero are left out; values that are levels, not counts, may come out negative.
#pragma once

#include "pprof/profile/store.h"

// Turns `after` into the difference. Samples of `before` that `after` lacks are added with their
// values negated. STATUS_NO_MEMORY.
MUST_USE enum status delta_subtract(struct store *after, const struct store *before);

// Leaves out the samples whose values are all zero. The store is only to be read after it.
void delta_drop_zeros(struct store *store);
