// SPDX-License-Identifier: Apache-2.0
// A profile as text, the form of Go's debug=1: readable, and `go tool pprof` parses it too, but for
// stacks of names, which that form has no place for. Columns are separated by single tabs.
#pragma once

#include "pprof/profile/source.h"

// Head, records, tail. STATUS_NO_MEMORY, STATUS_TOO_LARGE. Context: any thread, not signal.
MUST_USE enum status text_write(const struct source *source, const struct store *store,
                                struct buffer *out);

// The frames of one record, a line each: "#\t0xPC\tFUNCTION+0xOFFSET\tFILE:LINE". PC lies inside
// the call, as in Go, where the record's own addresses are one more.
MUST_USE enum status text_write_frames(const struct sample_key *key, struct buffer *out);
