// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"extproc/tests/internal/rig"
)

// Envoy resets every stream at its end, good ones too. A server that counts resets as an attack
// closes the connection after some 1000 of them.
func TestThousandsOfRequestsOnOneConnection(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{EnvoyWorkers: 1})
	const requests = 2000
	for i := range requests {
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			t.Fatalf("request %d: status %d: %s", i, reply.Status, reply.Body)
		}
	}
	if connections := stack.Envoy.Stat("cluster.extproc.upstream_cx_total"); connections != 1 {
		t.Errorf("%d connections to the processor, want 1 for all requests", connections)
	}
	if routed := stack.Extproc.Metric(`extproc_requests_total{outcome="routed"}`); routed != requests {
		t.Errorf("%v requests counted as routed, want %d", routed, requests)
	}
	if tokens := stack.Extproc.Metric(`extproc_tokens_total{type="total"}`); tokens != 18*requests {
		t.Errorf("%v tokens counted, want %d", tokens, 18*requests)
	}
}

// The burst comes on a fresh connection, before Envoy knows the server's limits, and all of it is in
// flight at the same time: the backend lets no reply go before it has all requests.
func TestBurstOfConcurrentRequests(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{EnvoyWorkers: 1})
	const requests, gate = 200, "burst"
	replies := make(chan rig.Reply, requests)
	for range requests {
		request := stack.Request("POST", "/v1/chat/completions", rig.Chat("model-b"), "x-backend-hold", gate)
		go func() { replies <- stack.Try(request) }()
	}
	stack.B.WaitHeld(gate, requests)
	if streams := stack.Extproc.Metric("extproc_streams_in_flight"); streams != requests {
		t.Errorf("%v streams in flight, want %d", streams, requests)
	}
	stack.B.Release(gate)
	for range requests {
		if reply := <-replies; reply.Status != 200 || reply.Err != nil {
			t.Errorf("status %d, %v: %s", reply.Status, reply.Err, stack.Envoy.Access(reply.ID)["details"])
		}
	}
	waitNoStreams(t, stack)
}

// Large bodies at the same time share the connection's flow control.
func TestLargeBodiesAtTheSameTime(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	body := make([]byte, 1<<20)
	for i := range body {
		body[i] = 'z'
	}
	text := `{"messages":[{"role":"user","content":"` + string(body) + `"}],"model":"model-a"}`
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 5 {
				reply := stack.Try(stack.Request("POST", "/v1/chat/completions", text, "x-backend-pad", "1000000"))
				if reply.Status != 200 || reply.Err != nil || len(reply.Body) < 1000000 {
					t.Errorf("status %d, %v, %d bytes", reply.Status, reply.Err, len(reply.Body))
				}
			}
		})
	}
	all.Wait()
	waitNoStreams(t, stack)
}

func TestUnixSocket(t *testing.T) {
	folder, err := os.MkdirTemp("", "x") // a short one: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "extproc.sock")
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_LISTEN=unix://" + path}})
	for model, backend := range map[string]string{"model-a": "a", "model-b": "b"} {
		if facts := stack.Post("/v1/chat/completions", rig.Chat(model)).Facts(t); facts.Name != backend {
			t.Errorf("%s reached %q", model, facts.Name)
		}
	}
	// The socket of one that was killed is in nobody's way.
	stack.Extproc.Kill()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("this test wants a socket that is left over: %v", err)
	}
	again := rig.StartExtproc(t, "EXTPROC_LISTEN=unix://"+path)
	if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
		t.Errorf("status %d after a restart", reply.Status)
	}
	// One that ends in peace takes its socket away.
	again.Signal(sigterm)
	if code := again.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is still there after the end")
	}
}
