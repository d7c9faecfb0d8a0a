// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
)

// Stack is the whole path: Envoy, the external processor and two backends, of which model-a is
// routed to A and model-b to B.
type Stack struct {
	t       testing.TB
	Envoy   *Envoy
	Extproc *Extproc
	Peer    *Extproc // with StackOptions.HasPeer
	A, B    *Backend
	Client  *http.Client
}

// StackOptions changes what is started; the zero value is the usual.
type StackOptions struct {
	Settings []string // of the external processor, see StartExtproc
	NoPprof  bool     // they are such that no pprof is served
	HasPeer  bool     // there is a second processor, Stack.Peer
	Group    string   // the control group of the external processor, see MemoryGroup

	BufferLimit, EnvoyWorkers int    // see EnvoyOptions
	Filters, Cluster          string // the same
	Edit                      func(config string) string
}

// StartStack starts everything.
func StartStack(t testing.TB, options StackOptions) *Stack {
	t.Helper()
	s := &Stack{t: t, A: StartBackend(t, "a"), B: StartBackend(t, "b")}
	if options.NoPprof {
		s.Extproc = StartExtprocWithoutPprof(t, options.Settings...)
	} else if options.Group != "" {
		s.Extproc = StartExtprocIn(t, options.Group, options.Settings...)
	} else {
		s.Extproc = StartExtproc(t, options.Settings...)
	}
	peer := ""
	if options.HasPeer {
		s.Peer = StartExtproc(t, options.Settings...)
		peer = s.Peer.GRPC
	}
	s.Envoy = StartEnvoy(t, EnvoyOptions{
		Extproc: s.Extproc.GRPC, ExtprocPeer: peer, BackendA: s.A.Address, BackendB: s.B.Address,
		BufferLimit: options.BufferLimit, Workers: options.EnvoyWorkers,
		Filters: options.Filters, Cluster: options.Cluster, Edit: options.Edit,
	})
	// DisableCompression: the tests see the bytes as they were sent.
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}
	s.Client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return s
}

// Reply is an answer that was read to its end; Err is what ended it early.
type Reply struct {
	ID     string // of the request, for Envoy.Access
	Status int
	Header http.Header
	Body   []byte
	Err    error
}

var requestCount atomic.Int64

// Request makes a request to Envoy; headers are name, value, name, value... It gets a new
// x-test-id.
func (s *Stack) Request(method, path, body string, headers ...string) *http.Request {
	s.t.Helper()
	request, err := http.NewRequest(method, s.Envoy.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("x-test-id", fmt.Sprintf("request-%d", requestCount.Add(1)))
	request.Header.Set("content-type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return request
}

// Try sends a request and reads the reply, whatever comes. Context: any goroutine.
func (s *Stack) Try(request *http.Request) Reply {
	reply := Reply{ID: request.Header.Get("x-test-id")}
	response, err := s.Client.Do(request)
	if err != nil {
		reply.Err = err
		return reply
	}
	defer response.Body.Close()
	reply.Status, reply.Header = response.StatusCode, response.Header
	reply.Body, reply.Err = io.ReadAll(response.Body)
	return reply
}

// Post sends a JSON body and wants a whole reply.
func (s *Stack) Post(path, body string, headers ...string) Reply {
	s.t.Helper()
	reply := s.Try(s.Request(http.MethodPost, path, body, headers...))
	if reply.Err != nil {
		s.t.Fatalf("POST %s: %v", path, reply.Err)
	}
	return reply
}

// Chat is a chat completion request for a model.
func Chat(model string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Hello"}]}`, model)
}

// StreamingChat is the same, to be answered as server-sent events.
func StreamingChat(model string) string {
	return fmt.Sprintf(`{"model":%q,"stream":true,"messages":[{"role":"user","content":"Hello"}]}`, model)
}

// Facts is what the backend says it received.
type Facts struct {
	Name      string
	Path      string
	BodyBytes int    `json:"body_bytes"`
	Body      string // with x-backend-echo
	Headers   map[string]string
}

// Facts reads them from a backend's JSON reply.
func (r Reply) Facts(t testing.TB) Facts {
	t.Helper()
	var reply struct{ Backend Facts }
	if err := json.Unmarshal(r.Body, &reply); err != nil || reply.Backend.Name == "" {
		t.Fatalf("status %d, not a backend's reply (%v): %.300s", r.Status, err, r.Body)
	}
	return reply.Backend
}
