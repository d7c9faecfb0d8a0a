// SPDX-License-Identifier: Apache-2.0

// Work for the program, so that a CPU profile of it has something to see.

package contract

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// load keeps the program busy until `stop` or the end of the test: its pprof server answers long lists of unknown
// addresses and its page, its gRPC server health checks.
func load(t testing.TB, p *program) (stop func()) {
	t.Helper()
	running, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	stop = func() { cancel(); workers.Wait() }
	t.Cleanup(stop)

	plain := &http.Client{Transport: &http.Transport{}}
	words := strings.Repeat("0x10+0x20+", 2000)
	pprofURL := "http://" + p.pprofAddress + "/debug/pprof/"
	workers.Go(func() {
		repeat(running, plain, "POST", pprofURL+"symbol", "application/octet-stream", words)
	})
	workers.Go(func() { repeat(running, plain, "GET", pprofURL, "", "") })

	overHTTP2 := &http.Transport{Protocols: new(http.Protocols)}
	overHTTP2.Protocols.SetUnencryptedHTTP2(true)
	url := "http://" + p.address(t, "grpc") + "/grpc.health.v1.Health/Check"
	for range 4 {
		workers.Go(func() {
			repeat(running, &http.Client{Transport: overHTTP2}, "POST", url, "application/grpc", "\x00\x00\x00\x00\x00")
		})
	}
	return stop
}

func repeat(running context.Context, client *http.Client, method, url, contentType, body string) {
	defer client.CloseIdleConnections()
	for running.Err() == nil {
		request, err := http.NewRequestWithContext(running, method, url, bytes.NewReader([]byte(body)))
		if err != nil {
			panic(err)
		}
		request.Header.Set("Content-Type", contentType)
		request.Header.Set("TE", "trailers")
		if answer, err := client.Do(request); err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	}
}
