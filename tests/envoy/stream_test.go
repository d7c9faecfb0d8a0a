// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// The backend holds everything after the first event until the client has it: were anything on the
// way to collect the reply, this would never end.
func TestFirstEventArrivesBeforeTheSecondIsMade(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for _, path := range []string{"/v1/chat/completions", "/v1/completions", "/v1/responses"} {
		t.Run(path, func(t *testing.T) {
			gate := "first" + strings.ReplaceAll(path, "/", "-")
			ctx, cancel := context.WithTimeout(context.Background(), rig.Deadline)
			defer cancel()
			request := stack.Request("POST", path, rig.StreamingChat("model-b"), "x-backend-hold", gate)
			response, err := stack.Client.Do(request.WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			reader := bufio.NewReader(response.Body)
			first := readEvent(t, reader)
			if !strings.Contains(first, `"name":"b"`) {
				t.Errorf("the first event is %q", first)
			}
			stack.B.WaitHeld(gate, 1)
			stack.B.Release(gate)
			if _, err := io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
			if total := stack.Envoy.Access(request.Header.Get("x-test-id"))["total"]; total != "18" {
				t.Errorf("access log: total=%s", total)
			}
		})
	}
}

// A reply in flight is listed with what it is for: the route is Envoy's choice, told with the reply's headers.
func TestStreamsProfileTellsModelOperationAndRoute(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	const gate = "labels"
	response, err := stack.Client.Do(stack.Request("POST", "/v1/chat/completions", rig.StreamingChat("model-b"), "x-backend-hold", gate))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stack.B.WaitHeld(gate, 1)
	defer stack.B.Release(gate)
	const want = "model=model-b operation=chat route=to-b"
	_, dump := stack.Extproc.GetPprof("goroutine?debug=2")
	if !strings.Contains(dump, want) {
		t.Errorf("no stream with %s:\n%s", want, dump)
	}
}

// readEvent reads up to and with the empty line that ends an event.
func readEvent(t *testing.T, reader *bufio.Reader) string {
	t.Helper()
	var event strings.Builder
	for !strings.HasSuffix(event.String(), "\n\n") {
		line, err := reader.ReadString('\n')
		event.WriteString(line)
		if err != nil {
			t.Fatalf("after %q: %v", event.String(), err)
		}
	}
	return event.String()
}

// The first event repeats the request's headers, which differ on the way through Envoy, and its
// length, which grows when it is made to ask for its usage.
var headersEcho = regexp.MustCompile(`"headers":\{[^}]*\}|"body_bytes":\d+`)

// What the client gets is byte for byte what the backend sent, however large and however cut.
func TestStreamArrivesUnchanged(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for name, knobs := range map[string][]string{
		"2000 events":     {"x-backend-chunks", "2000"},
		"pieces of 13":    {"x-backend-chunks", "50", "x-backend-cut", "13"},
		"one event, then": {"x-backend-chunks", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			body := rig.StreamingChat("model-a")
			reply := stack.Post("/v1/chat/completions", body, knobs...)
			direct := directly(t, stack, body, knobs...)
			got := headersEcho.ReplaceAll(reply.Body, nil)
			want := headersEcho.ReplaceAll(direct.Body, nil)
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes differ from the %d that the backend sends", len(got), len(want))
			}
			if got := reply.Header.Get("content-type"); got != "text/event-stream" {
				t.Errorf("content-type %q", got)
			}
		})
	}
}

// The client has the first event, so the reply is under way when the backend breaks it off.
func TestStreamThatTheBackendCutsIsCutForTheClient(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	const gate = "cut"
	request := stack.Request("POST", "/v1/chat/completions", rig.StreamingChat("model-a"),
		"x-backend-hold", gate, "x-backend-chunks", "100", "x-backend-reset-after", "5000")
	response, err := stack.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	readEvent(t, reader)
	stack.A.Release(gate)
	if rest, err := io.ReadAll(reader); err == nil {
		t.Errorf("the client was not told that its stream was cut, after %d bytes", len(rest))
	}
	waitNoStreams(t, stack)
	// And nothing is left over: the next request works.
	if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
		t.Errorf("status %d", reply.Status)
	}
}

func TestBackendThatResetsBeforeItsHeaders(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	// Envoy's own 503 passes the processor as a reply.
	reply := stack.Post("/v1/chat/completions", rig.Chat("model-a"), "x-backend-reset-after", "0")
	if reply.Status != 503 {
		t.Errorf("status %d, want Envoy's 503", reply.Status)
	}
	waitNoStreams(t, stack)
}

func waitNoStreams(t *testing.T, stack *rig.Stack) {
	t.Helper()
	rig.Eventually(t, func() string {
		if streams := stack.Extproc.Metric("extproc_streams_in_flight"); streams != 0 {
			return "the gauge of streams in flight returns to 0"
		}
		return ""
	})
}

// Would catch: state of a stream whose client is gone kept for ever.
func TestClientGoneMidStream(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	const gate = "client-gone"
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	const clients = 20
	for range clients {
		request := stack.Request("POST", "/v1/chat/completions", rig.StreamingChat("model-a"), "x-backend-hold", gate)
		response, err := stack.Client.Do(request.WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		readEvent(t, bufio.NewReader(response.Body))
	}
	stack.A.WaitHeld(gate, clients)
	if streams := stack.Extproc.Metric("extproc_streams_in_flight"); streams != clients {
		t.Errorf("%v streams in flight, want %d", streams, clients)
	}
	leave()
	waitNoStreams(t, stack)
	stack.A.Release(gate)
	if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
		t.Errorf("status %d", reply.Status)
	}
}

// The same while the processor waits for the reply's headers.
func TestClientGoneBeforeTheReply(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	const gate = "client-gone-early"
	ctx, leave := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	request := stack.Request("POST", "/v1/chat/completions", rig.Chat("model-a"), "x-backend-hold", gate)
	go func() {
		_, err := stack.Client.Do(request.WithContext(ctx))
		ended <- err
	}()
	stack.A.WaitHeld(gate, 1)
	leave()
	<-ended
	waitNoStreams(t, stack)
	stack.A.Release(gate)
}
