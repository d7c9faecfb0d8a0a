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

var throughRows = []row{
	{"1 KB", "1k", 4, 240},
	{"32 KB", "32k", 4, 120},
	{"SSE", "sse", 4, 24},
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
				result := request(b, urls[name], row, name == "null", pid)
				if round >= 0 {
					s.add(name, result)
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
func request(b *testing.B, url string, row row, namesModel bool, pid int) *load.Result {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: row.streams, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	body := load.RequestBody(row.kind)
	var mutex sync.Mutex
	var workers sync.WaitGroup
	result := &load.Result{}
	before, start := load.UsageOf(pid), time.Now()
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
	result.Elapsed, result.Usage = time.Since(start), load.UsageOf(pid).Since(before)
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
