// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"extproc/tests/internal/load"
	"extproc/tests/internal/rig"
)

const without = "without"

// through are the servers behind Envoy, and Envoy without any.
var through = append(slices.Clone(names), without)

// throughRow has the pause between the events of a reply, too, as the backend wants it, in ms.
type throughRow struct {
	row
	pause string
}

// Without a pause Envoy gets many events at once and makes one message of them. With 5 ms each is one, and
// 128 such streams are 25 600 messages a second, whatever the server: as many as Envoy can bear here.
var throughRows = []throughRow{
	{row{"1 KB", "1k", 4, 960}, "0"},
	{row{"1 KB, 128 at a time", "1k", 128, 1536}, "0"},
	{row{"32 KB", "32k", 4, 240}, "0"},
	{row{"SSE", "sse", 4, 96}, "0"},
	{row{"SSE, 128 at a time", "sse", 128, 128}, "5"},
	{row{"1 MB", "1m", 2, 32}, "0"},
}

// way leads through an Envoy of its own, by a server.
type way struct {
	url        string
	pid        int  // of the server; 0: there is none
	namesModel bool // the client says itself which model it wants, as the server does not look
}

// ways has them by the servers' names.
type ways map[string]way

// piecewise is the way by a null server that asks for replies in pieces: else Envoy holds event streams back.
const piecewise = "null, in pieces"

func (w ways) of(name string, row throughRow) way {
	if name == "null" && row.kind == "sse" {
		name = piecewise
	}
	return w[name]
}

func startWays(b testing.TB) ways {
	b.Helper()
	backend := rig.StartBackend(b, "a")
	found := ways{}
	add := func(name string, server *server) string {
		envoy := rig.StartEnvoy(b, rig.EnvoyOptions{Extproc: server.address,
			BackendA: backend.Address, BackendB: backend.Address, Workers: 1})
		found[name] = way{envoy.URL + "/v1/chat/completions", server.program.Pid(), server.name == "null"}
		return envoy.URL
	}
	for _, name := range names {
		found[without] = way{url: add(name, start(b, name, both)) + "/no-extproc/v1/chat/completions"} // any Envoy will do
	}
	add(piecewise, start(b, "null", both, "--pieces"))
	return found
}

func measureThroughEnvoy(b *testing.B, ways ways) map[string]*seen {
	b.Helper()
	measured := map[string]*seen{}
	printHead("through Envoy", through...)
	for _, row := range throughRows {
		s := newSeen()
		client := newClient(b, row.streams)
		for round := -1; round < rounds; round++ {
			inTurn(round+1, through, func(name string) {
				if result := request(b, client, ways.of(name, row), row); round >= 0 {
					s.add(name, result)
				}
			})
		}
		s.print(row.name, through...)
		measured[row.name] = s
	}
	return measured
}

func newClient(b testing.TB, connections int) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// request sends requests over row.streams connections and takes the time of each.
func request(b testing.TB, client *http.Client, way way, row throughRow) *load.Result {
	b.Helper()
	body := load.RequestBody(row.kind)
	var mutex sync.Mutex
	var workers sync.WaitGroup
	result := &load.Result{}
	before, start := load.UsageOf(way.pid), time.Now()
	for range row.streams {
		workers.Go(func() {
			for range row.requests / row.streams {
				start := time.Now()
				if err := post(client, way, body, row.pause); err != nil {
					b.Errorf("%s: %v", way.url, err)
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
	result.Elapsed, result.Usage = time.Since(start), load.UsageOf(way.pid).Since(before)
	result.Requests = len(result.Latency)
	slices.Sort(result.Latency)
	return result
}

func post(client *http.Client, way way, body []byte, pause string) error {
	request, err := http.NewRequest("POST", way.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("content-type", "application/json")
	request.Header.Set("x-backend-chunks", strconv.Itoa(load.Events))
	request.Header.Set("x-backend-delay-ms", pause)
	if way.namesModel {
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

// What the benchmark sends is answered on each way, and 64 at a time are, too.
func TestEachWayAnswers(t *testing.T) {
	ways, client := startWays(t), newClient(t, 64)
	for _, row := range []throughRow{{row{"1 KB", "1k", 64, 128}, "0"}, {row{"SSE", "sse", 64, 64}, "1"}} {
		for _, name := range through {
			if got := request(t, client, ways.of(name, row), row).Requests; got != row.requests {
				t.Errorf("%s, %s: %d of %d requests were answered", name, row.name, got, row.requests)
			}
		}
	}
}
