// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"extproc/tests/internal/load"
	"extproc/tests/internal/rig"
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

var rows = []row{
	{"1 KB, one at a time", "1k", 1, 400},
	{"1 KB", "1k", 16, 4000},
	{"32 KB", "32k", 16, 1000},
	{"SSE of 200 events", "sse", 16, 64},
	{"1 MB", "1m", 4, 48},
}

// seen is all that was measured of a row.
type seen struct{ cpu, perSecond, p50, p99 figures }

func newSeen() *seen { return &seen{figures{}, figures{}, figures{}, figures{}} }

func (s *seen) add(name string, cpu, elapsed time.Duration, latency *load.Result) {
	count := float64(latency.Requests)
	s.cpu[name] = append(s.cpu[name], float64(cpu.Nanoseconds())/1e3/count)
	s.perSecond[name] = append(s.perSecond[name], count/elapsed.Seconds())
	s.p50[name] = append(s.p50[name], float64(latency.Quantile(0.5).Nanoseconds())/1e3)
	s.p99[name] = append(s.p99[name], float64(latency.Quantile(0.99).Nanoseconds())/1e3)
}

func (s *seen) print(name string, servers ...string) {
	s.cpu.print(name+": CPU µs/request", servers...)
	s.perSecond.print("  requests/s", servers...)
	s.p50.print("  p50 µs", servers...)
	s.p99.print("  p99 µs", servers...)
}

// inTurn calls f for each name, and begins with another one in each round.
func inTurn(round int, names []string, f func(name string)) {
	for i := range names {
		f(names[(round+i)%len(names)])
	}
}

func BenchmarkSpeed(b *testing.B) {
	starts := measureStarts(b)
	servers := map[string]*server{}
	for _, name := range names {
		servers[name] = start(b, name)
	}
	fmt.Printf("%d rounds, in turn; medians (least–most); ratios are medians of the ratios of each round\n", rounds)

	printHead("directly, one connection", names...)
	direct, memory, peak := map[string]*seen{}, figures{}, figures{}
	for _, row := range rows {
		direct[row.name] = measureDirect(b, row, servers)
		direct[row.name].print(row.name, names...)
		for _, name := range names {
			if row.name == "1 KB" {
				memory[name] = []float64{servers[name].memory(b, "VmHWM")}
			}
			peak[name] = []float64{servers[name].memory(b, "VmHWM")}
		}
	}
	memory.print("memory MiB, most, 1 KB", names...)
	peak.print("memory MiB, most, all kinds", names...)
	starts.print("start to listening, ms", names...)

	through := measureThroughEnvoy(b, servers)
	printGoals(direct, through, memory, starts)
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
				s.add(name, result.CPU, result.Elapsed, result)
			}
		})
	}
	return s
}

func measureStarts(b *testing.B) figures {
	b.Helper()
	taken := figures{}
	for round := range 3 * rounds {
		inTurn(round, names, func(name string) {
			taken[name] = append(taken[name], float64(startAndEnd(b, name).Microseconds())/1e3)
		})
	}
	return taken
}

const without = "without"

// through are the servers behind Envoy, and Envoy without any.
var through = append(slices.Clone(names), without)

var throughRows = []row{
	{"1 KB", "1k", 4, 240},
	{"32 KB", "32k", 4, 120},
	{"SSE of 200 events", "sse", 4, 24},
	{"1 MB", "1m", 2, 12},
}

func measureThroughEnvoy(b *testing.B, servers map[string]*server) map[string]*seen {
	b.Helper()
	backend := rig.StartBackend(b, "a")
	urls := map[string]string{}
	for _, name := range names {
		envoy := rig.StartEnvoy(b, rig.EnvoyOptions{Extproc: servers[name].address,
			BackendA: backend.Address, BackendB: backend.Address, Workers: 1})
		urls[name] = envoy.URL + "/v1/chat/completions"
		urls[without] = envoy.URL + "/no-extproc/v1/chat/completions" // any Envoy will do
	}
	measured := map[string]*seen{}
	printHead("through Envoy", through...)
	for _, row := range throughRows {
		s := newSeen()
		for round := -1; round < rounds; round++ {
			inTurn(round+1, through, func(name string) {
				pid := 0
				if server := servers[name]; server != nil {
					pid = server.program.Pid()
				}
				before, start := load.ProcessTime(pid), time.Now()
				result := request(b, urls[name], row, name == "null")
				if round >= 0 {
					s.add(name, load.ProcessTime(pid)-before, time.Since(start), result)
				}
			})
		}
		s.print(row.name, through...)
		s.p99.less(without).print("  p99 µs added", names...)
		measured[row.name] = s
	}
	return measured
}

// request sends requests over row.streams connections and takes the time of each. Where the server
// does not look, the client says itself which model it wants; an event stream is held back by Envoy
// then, as nobody asks for its pieces.
func request(b *testing.B, url string, row row, namesModel bool) *load.Result {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: row.streams, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	body := load.RequestBody(row.kind)
	var mutex sync.Mutex
	var workers sync.WaitGroup
	result := &load.Result{}
	for range row.streams {
		workers.Go(func() {
			for range row.requests / row.streams {
				start := time.Now()
				if err := post(client, url, body, namesModel); err != nil {
					b.Errorf("%s: %v", url, err)
					return
				}
				taken := time.Since(start)
				mutex.Lock()
				result.Latency = append(result.Latency, taken)
				mutex.Unlock()
			}
		})
	}
	workers.Wait()
	result.Requests = len(result.Latency)
	slices.Sort(result.Latency)
	return result
}

func post(client *http.Client, url string, body []byte, namesModel bool) error {
	request, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("content-type", "application/json")
	request.Header.Set("x-backend-chunks", strconv.Itoa(load.Events))
	if namesModel {
		request.Header.Set("x-ai-eg-model", load.Model)
	}
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err == nil && (reply.StatusCode != 200 || !strings.Contains(string(text), "usage")) {
		err = fmt.Errorf("status %d: %.200s", reply.StatusCode, text)
	}
	return err
}

func printGoals(direct, through map[string]*seen, memory, starts figures) {
	fmt.Printf("\n%-62s %8s   %-10s\n", "goals: ours to the Go server's, but for the last three", "seen", "wanted")
	most := func(what string, value, limit float64, text string) { goal(what, value <= limit, value, "<= "+text) }
	for _, row := range []struct {
		name, text string
		limit      float64
	}{{"1 KB", "1/6", 1. / 6}, {"SSE of 200 events", "1/6", 1. / 6}, {"1 MB", "1/3", 1. / 3}} {
		most("CPU per request, "+row.name+", directly", direct[row.name].cpu.ratio("ours", "Go"), row.limit, row.text)
		most("CPU per request, "+row.name+", through Envoy", through[row.name].cpu.ratio("ours", "Go"), row.limit, row.text)
	}
	most("memory, most, 1 KB", memory.ratio("ours", "Go"), 1./3, "1/3")
	added := through["1 KB"].p99.less(without)
	if ours, peer := median(added["ours"]), median(added["Go"]); ours > 0 && peer > 0 {
		most("p99 added through Envoy, 1 KB", ours/peer, 1./2, "1/2")
	} else {
		fmt.Println("p99 added through Envoy, 1 KB: the machine is too busy to tell")
	}
	perSecond := direct["1 KB"].perSecond.ratio("ours", "null")
	goal("requests per second to the null server's, 1 KB, directly", perSecond >= 0.7, perSecond, ">= 0.7")
	perCPU := 1 / direct["1 KB"].cpu.ratio("ours", "null")
	goal("requests per CPU second to the null server's, 1 KB, directly", perCPU >= 0.7, perCPU, ">= 0.7")
	most("start to listening, ms", median(starts["ours"]), 5, "5")
}
