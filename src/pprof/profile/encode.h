// SPDX-License-Identifier: Apache-2.0
// A profile as profile.proto, gzip'd: what `go tool pprof` reads. Every location is named here, in
// the process, so that nobody needs the binary to read it.
// Spec: github.com/google/pprof, proto/profile.proto; go-contract: what Go's own encoder fills in.
#pragma once

#include "base/bytes.h"
#include "pprof/profile/profile.h"

// Appends the gzip file to `out`. STATUS_NO_MEMORY, STATUS_TOO_LARGE (out's limit), STATUS_LIBRARY
// (zlib); `out` may then hold a part. Context: any thread, not signal.
MUST_USE enum status profile_encode(const struct profile *profile, struct buffer *out);
