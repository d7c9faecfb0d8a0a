// SPDX-License-Identifier: Apache-2.0

package speed

import "testing"

// What a server adds to the latency through Envoy, of requests of 1 KB that come one after the other: with
// more at a time, or at a fixed rate, what is seen is the queue before Envoy and the waking of idle processors,
// which move by more than what is added (docs/speed.md). The servers take turns of a few requests, so
// that what else the machine does meets all of them.
const addedRequests, addedTurn = 2000, 50 // of each server in each round

var shares = []struct {
	name  string
	share float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}

// measureAdded gives what is added, by the names of the shares.
func measureAdded(b *testing.B, ways ways) map[string]figures {
	b.Helper()
	turn := throughRow{row{kind: "1k", streams: 1, requests: addedTurn}, "0"}
	client := newClient(b, 1)
	whole := map[string]figures{}
	for _, share := range shares {
		whole[share.name] = figures{}
	}
	inTurn(0, through, func(name string) { request(b, client, ways[name], turn) }) // to warm up
	for range rounds {
		pools := map[string]pool{}
		for i := range addedRequests / addedTurn {
			inTurn(i, through, func(name string) {
				pools[name] = append(pools[name], request(b, client, ways[name], turn).Latency...)
			})
		}
		for name, pool := range pools {
			for _, share := range shares {
				whole[share.name].add(name, pool.quantile(share.share))
			}
		}
	}
	added := map[string]figures{}
	printHead("through Envoy, 1 KB, one at a time", through...)
	for _, share := range shares {
		whole[share.name].print(share.name+" µs", through...)
		added[share.name] = whole[share.name].less(without)
		added[share.name].print("  added", names...)
	}
	return added
}
