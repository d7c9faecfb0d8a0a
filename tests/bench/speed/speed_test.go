// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"extproc/tests/internal/load"
)

// rounds of each row; servers take turns in each (ROUNDS=7).
var rounds = func() int {
	if count, err := strconv.Atoi(os.Getenv("ROUNDS")); err == nil {
		return count
	}
	return 7
}()

// row is a kind of request at a number of streams at the same time.
type row struct {
	name, kind        string
	streams, requests int // requests of each server in each round
}

// With 16 streams, all are answered in one turn, and the process sleeps until their next messages
// come: a good part of what is measured is what the kernel does to wake it, the same for all. With 128,
// as Envoy has them where replies take a minute, there is nearly always something to do.
var rows = []row{
	{"1 KB, one at a time", "1k", 1, 800},
	{"1 KB", "1k", 16, 8000},
	{"1 KB, 128 at a time", "1k", 128, 12800},
	{"32 KB", "32k", 16, 1000},
	{"SSE", "sse", 16, 128},
	{"SSE, 128 at a time", "sse", 128, 512},
	{"1 MB", "1m", 4, 80},
}

// seen is all that was measured of a row.
type seen struct{ cpu, sleeps, perSecond, p50, p99, memory figures }

func newSeen() *seen { return &seen{figures{}, figures{}, figures{}, figures{}, figures{}, figures{}} }

func (s *seen) add(name string, result *load.Result) {
	count := float64(result.Requests)
	s.cpu.add(name, float64(result.CPU.Nanoseconds())/1e3/count)
	s.sleeps.add(name, float64(result.Sleeps)/count)
	s.perSecond.add(name, count/result.Elapsed.Seconds())
	s.p50.add(name, float64(result.Quantile(0.5).Nanoseconds())/1e3)
	s.p99.add(name, float64(result.Quantile(0.99).Nanoseconds())/1e3)
}

func (s *seen) print(name string, servers ...string) {
	s.cpu.print(name+": CPU µs/request", servers...)
	s.sleeps.print("  sleeps/request", servers...)
	s.perSecond.print("  requests/s", servers...)
	s.p50.print("  p50 µs", servers...)
	s.p99.print("  p99 µs", servers...)
	if len(s.memory) > 0 {
		s.memory.print("  memory MiB, most so far", servers...)
	}
}

// inTurn calls f for each name, and begins with another one in each round.
func inTurn(round int, names []string, f func(name string)) {
	for i := range names {
		f(names[(round+i)%len(names)])
	}
}

func BenchmarkSpeed(b *testing.B) {
	watchMachine(b)
	starts := measureStarts(b)
	servers := map[string]*server{}
	for _, name := range names {
		servers[name] = start(b, name, first)
	}
	fmt.Printf("%d rounds, in turn; medians (least–most); ratios are medians of the ratios of each round\n"+
		"16 requests at a time, 4 of 1 MB, through Envoy 4 and 2, where nothing else is said; a reply of SSE has %d events,\n"+
		"through Envoy with 128 at a time one every 5 ms, else all at once\n", rounds, load.Events)

	printHead("directly, one connection", names...)
	direct := map[string]*seen{}
	for _, row := range rows {
		direct[row.name] = measureDirect(b, row, servers)
		direct[row.name].print(row.name, names...)
	}
	starts.print("start to listening, ms", names...)

	ways := startWays(b)
	added := measureAdded(b, ways)
	printGoals(direct, measureThroughEnvoy(b, ways), added, starts)
}

func measureDirect(b *testing.B, row row, servers map[string]*server) *seen {
	b.Helper()
	s := newSeen()
	for round := -1; round < rounds; round++ { // the first, -1, is to warm up
		inTurn(round+1, names, func(name string) {
			server := servers[name]
			requests := row.requests
			if round < 0 {
				requests = requests/4 + row.streams
			}
			result, err := load.Run(load.Options{Address: server.address, Kind: row.kind, Streams: row.streams,
				Requests: requests, CPU: 1, Pid: server.program.Pid()}) // CPU 0 is the servers'
			if err != nil {
				b.Fatalf("%s, %s: %v", name, row.name, err)
			}
			if round >= 0 {
				s.add(name, result)
			}
		})
	}
	for _, name := range names {
		s.memory.add(name, servers[name].memory(b, "VmHWM"))
	}
	return s
}

func measureStarts(b *testing.B) figures {
	b.Helper()
	taken := figures{}
	for round := range 3 * rounds {
		inTurn(round, names, func(name string) {
			taken.add(name, float64(startAndEnd(b, name).Microseconds())/1e3)
		})
	}
	return taken
}

func printGoals(direct, through map[string]*seen, added map[string]figures, starts figures) {
	fmt.Printf("\n%-66s %8s   %-8s %-16s %s\n", "goals: ours to the Go server's, but for the last five", "seen", "wanted", "", "null's")
	for _, row := range []struct {
		name, wanted string
		most         float64
	}{
		{"1 KB", "1/6", 1. / 6}, {"1 KB, 128 at a time", "1/6", 1. / 6},
		{"SSE", "1/6", 1. / 6}, {"SSE, 128 at a time", "1/6", 1. / 6}, {"1 MB", "1/3", 1. / 3},
	} {
		direct[row.name].cpu.goalToGo("CPU per request, "+row.name+", directly", row.most, row.wanted)
		through[row.name].cpu.goalToGo("CPU per request, "+row.name+", through Envoy", row.most, row.wanted)
	}
	direct["1 KB"].memory.goalToGo("memory, most, 1 KB", 1./3, "1/3")
	added["p99"].goalToGo("p99 added through Envoy, 1 KB, one at a time", 1./2, "1/2")
	for _, row := range []string{"1 KB", "1 KB, 128 at a time"} {
		perSecond, perCPU := direct[row].perSecond.ratio("ours", "null"), 1/direct[row].cpu.ratio("ours", "null")
		goal("requests a second to the null server's, "+row, perSecond >= 0.7, perSecond, ">= 0.7", "1")
		goal("requests a CPU second to the null server's, "+row, perCPU >= 0.7, perCPU, ">= 0.7", "1")
	}
	taken := median(starts["ours"])
	goal("start to listening, ms", taken <= 5, taken, "<= 5", number(median(starts["null"])))
}
