// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"regexp"
	"strconv"
	"testing"

	envoyload "extproc/tests/internal/load"
	"extproc/tests/internal/rig"
)

var allocated = regexp.MustCompile(`^heap profile: \d+: \d+ \[(\d+): \d+\]`)

// Once warm, a small request takes its memory from what the requests before it gave back. The
// profile counts each allocation of the process here, whichever library makes it.
func TestSmallRequestsDoNotAllocate(t *testing.T) {
	extproc := rig.StartExtproc(t, "PPROF_HEAP_RATE=1", "EXTPROC_WORKERS=1")
	count := func() int {
		_, text := extproc.GetPprof("heap?debug=1")
		match := allocated.FindStringSubmatch(text)
		if match == nil {
			t.Fatalf("no heap profile: %.100s", text)
		}
		count, _ := strconv.Atoi(match[1])
		return count
	}
	for _, row := range []struct {
		kind           string
		some, manyMore int
	}{{"1k", 1000, 10000}, {"sse", 20, 100}} {
		// Each run has a connection of its own, which costs what it costs.
		taken := func(requests int) int {
			before := count()
			_, err := envoyload.Run(envoyload.Options{Address: extproc.GRPC, Kind: row.kind, Streams: 16, Requests: requests, CPU: -1})
			if err != nil {
				t.Fatal(err)
			}
			return count() - before
		}
		taken(row.some)
		few := taken(row.some)
		many := taken(row.some + row.manyMore)
		t.Logf("%s: %d allocations in %d requests, %d in %d", row.kind, few, row.some, many, row.some+row.manyMore)
		if more := many - few; more > row.manyMore/50 {
			t.Errorf("%s: %d requests more allocated %d times more; want none but for chance", row.kind, row.manyMore, more)
		}
	}
}
