// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// The ways to configure Envoy that docs/extproc.md tells. In each of them the same must hold.
var topologies = map[string]rig.StackOptions{
	"one filter":        {Filters: "one filter"},
	"without overrides": {Filters: "without overrides"},
	"two filters":       {Filters: "in front of the router", Cluster: "behind the router"},
	"full duplex":       {Filters: "full duplex"},
	"streamed early":    {Filters: "streamed early"},
	"overridden":        {Filters: "overridden"},
}

// Would catch: a block of the documentation that no test runs any more.
func TestEachDocumentedTopologyIsRun(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(rig.Root(), "docs", "extproc.md"))
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{"only watching": true}
	for _, options := range topologies {
		run[options.Filters], run[options.Cluster] = true, true
	}
	for _, block := range regexp.MustCompile("(?:<!-- envoy: (.*) -->\n)?```yaml\n").FindAllStringSubmatch(string(text), -1) {
		if name := block[1]; name == "" || !run[name] {
			t.Errorf("the block %q of docs/extproc.md is run by no test", name)
		}
	}
}

func inEachTopology(t *testing.T, test func(t *testing.T, stack *rig.Stack)) {
	for name, options := range topologies {
		t.Run(name, func(t *testing.T) { test(t, rig.StartStack(t, options)) })
	}
}

// wantRouted checks that the body arrived unchanged at the right backend, with our headers and no
// forged ones.
func wantRouted(t *testing.T, reply rig.Reply, body, model, backend string) {
	t.Helper()
	if reply.Err != nil || reply.Status != 200 {
		t.Fatalf("status %d, %v: %.300s", reply.Status, reply.Err, reply.Body)
	}
	facts := reply.Facts(t)
	if facts.Name != backend || facts.Headers["x-ai-eg-model"] != model {
		t.Errorf("backend %q with x-ai-eg-model %q", facts.Name, facts.Headers["x-ai-eg-model"])
	}
	if got := facts.Headers["x-ai-eg-original-path"]; got != "/v1/chat/completions?q=1" {
		t.Errorf("x-ai-eg-original-path %q", got)
	}
	if forged, there := facts.Headers["x-ai-eg-forged"]; there {
		t.Errorf("x-ai-eg-forged: %q reached the backend", forged)
	}
	if facts.Body != body {
		t.Errorf("%d bytes of body arrived, %d were sent: %.200q", len(facts.Body), len(body), facts.Body)
	}
}

func TestEachTopologyRoutesAndCounts(t *testing.T) {
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) {
		for model, backend := range map[string]string{"model-a": "a", "model-b": "b"} {
			body := rig.Chat(model)
			reply := stack.Post("/v1/chat/completions?q=1", body, "x-backend-echo", "1", "x-backend-usage", "11,5,22,9",
				"x-ai-eg-model", "model-forged", "x-ai-eg-forged", "1")
			wantRouted(t, reply, body, model, backend)
			access := stack.Envoy.Access(reply.ID)
			wantUsage(t, access, "11", "5", "22", "33", model)
			if access["reasoning"] != "9" || access["ttft"] != "-" {
				t.Errorf("access log: %v", access)
			}
		}
		waitNoStreams(t, stack)
	})
}

func TestEachTopologyCountsEventStreams(t *testing.T) {
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) {
		for _, knobs := range [][]string{nil, {"x-backend-cut", "7", "x-backend-chunks", "3"}} {
			knobs = append(knobs, "x-backend-usage", "11,5,22,9", "x-backend-strict", "1")
			reply := stack.Post("/v1/chat/completions", rig.StreamingChat("model-a"), knobs...)
			if reply.Status != 200 || !bytes.HasSuffix(reply.Body, []byte("data: [DONE]\n\n")) {
				t.Fatalf("status %d: %.300s", reply.Status, reply.Body)
			}
			access := stack.Envoy.Access(reply.ID)
			wantUsage(t, access, "11", "5", "22", "33", "model-a")
			for _, name := range []string{"ttft", "itl"} {
				if ms, err := strconv.ParseFloat(access[name], 64); err != nil || ms < 0 || ms > 1000*rig.Deadline.Seconds() {
					t.Errorf("access log: %s=%s", name, access[name])
				}
			}
		}
	})
}

// What is no request to a model, with and without a body, of one piece and of many.
func TestEachTopologyPassesOtherRequests(t *testing.T) {
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) {
		large := strings.Repeat("not JSON ", 50000)
		for _, request := range []struct{ method, body string }{
			{"GET", ""}, {"POST", "not JSON"}, {"POST", large}, {"PUT", `{"model":"model-b"}`}, {"DELETE", ""},
		} {
			reply := stack.Try(stack.Request(request.method, "/plain/path?q=1", request.body,
				"x-backend-echo", "1", "x-ai-eg-model", "model-b", "x-ai-eg-forged", "1"))
			if reply.Err != nil || reply.Status != 200 {
				t.Fatalf("%s: status %d, %v", request.method, reply.Status, reply.Err)
			}
			facts := reply.Facts(t)
			if facts.Name != "a" || facts.Body != request.body {
				t.Errorf("%s of %d bytes: backend %q got %d", request.method, len(request.body), facts.Name, len(facts.Body))
			}
			for _, name := range []string{"x-ai-eg-model", "x-ai-eg-forged"} {
				if got, there := facts.Headers[name]; there {
					t.Errorf("%s: %q reached the backend", name, got)
				}
			}
		}
		waitNoStreams(t, stack)
	})
}

// The first event reaches the client before the second is made, in whatever mode.
func TestEachTopologyHoldsNoEventBack(t *testing.T) {
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) { wantFirstEventAtOnce(t, stack, "model-a") })
}

func wantFirstEventAtOnce(t *testing.T, stack *rig.Stack, model string) {
	t.Helper()
	const gate = "topology"
	request := stack.Request("POST", "/v1/chat/completions", rig.StreamingChat(model), "x-backend-hold", gate)
	response, err := stack.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	buffer := make([]byte, 100)
	if _, err := io.ReadFull(response.Body, buffer); err != nil || !bytes.HasPrefix(buffer, []byte("data: {")) {
		t.Fatalf("%v: %q", err, buffer)
	}
	stack.A.Release(gate)
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
}

// A body that does not fit into one piece, with the model at its end, its beginning and between.
func TestEachTopologyFindsTheModelAnywhere(t *testing.T) {
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) {
		text := func(size int) string { return strings.Repeat("long text ", size/10) }
		for name, body := range map[string]string{
			"first":  fmt.Sprintf(`{"model":"model-b","messages":[{"role":"user","content":%q}]}`, text(300000)),
			"last":   fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"model":"model-b"}`, text(300000)),
			"middle": fmt.Sprintf(`{"a":%q,"model":"model-b","z":%q}`, text(150000), text(150000)),
		} {
			for _, isChunked := range []bool{false, true} {
				request := stack.Request("POST", "/v1/chat/completions?q=1", body, "x-backend-echo", "1")
				if isChunked {
					request.ContentLength = -1
				}
				t.Run(fmt.Sprintf("%s chunked=%v", name, isChunked), func(t *testing.T) {
					wantRouted(t, stack.Try(request), body, "model-b", "b")
				})
			}
		}
		waitNoStreams(t, stack)
		if held := stack.Extproc.Metric("extproc_body_bytes"); held != 0 {
			t.Errorf("%v bytes of bodies are still counted", held)
		}
	})
}

// Would catch: a body that is changed where it must not be (backends refuse options of a stream in a
// request that is none), or whose length is wrong.
func TestEachTopologyMakesStreamsTellTheirUsage(t *testing.T) {
	const asks = `"include_usage":true`
	long := `"user":"` + strings.Repeat("x", 100000) + `"` // more than a piece
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) {
		for body, want := range map[string]string{
			`{"model":"model-a", "stream":true }`:                                        `{"model":"model-a", "stream":true ,"stream_options":{` + asks + `}}`,
			`{"stream_options":{"x":1},"stream":true,"model":"model-a"}`:                 `{"stream_options":{"x":1,` + asks + `},"stream":true,"model":"model-a"}`,
			`{"stream":true,"model":"model-a","stream_options":{"include_usage":false}}`: `{"stream":true,"model":"model-a","stream_options":{` + asks + `}}`,
			`{"stream":true,"model":"model-a","stream_options":{` + asks + `}}`:          `{"stream":true,"model":"model-a","stream_options":{` + asks + `}}`,
			`{"model":"model-a","stream_options":null,` + long + `,"stream":true}`:       `{"model":"model-a","stream_options":{` + asks + `},` + long + `,"stream":true}`,
			`{"stream":false,"model":"model-a"}`:                                         "",
			`{"stream":false,"stream_options":null,"model":"model-a"}`:                   "",
			`{"model":"model-a","stream_options":{"include_usage":false}}`:               "",
			`{"model":"model-a","stream_options":null,` + long + `}`:                     "",
		} {
			if want == "" {
				want = body
			}
			for _, isChunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%.80s chunked=%v", body, isChunked), func(t *testing.T) {
					request := stack.Request("POST", "/v1/chat/completions", body, "x-backend-echo", "1", "x-backend-strict", "1")
					if isChunked {
						request.ContentLength = -1
					}
					reply := stack.Try(request)
					if reply.Err != nil || reply.Status != 200 {
						t.Fatalf("status %d, %v: %s", reply.Status, reply.Err, reply.Body)
					}
					if quoted := strconv.Quote(want); !bytes.Contains(reply.Body, []byte(quoted[1:len(quoted)-1])) {
						t.Errorf("the backend got another body: %.600s", reply.Body)
					}
					if total := stack.Envoy.Access(reply.ID)["total"]; total != "18" {
						t.Errorf("access log: total=%s", total)
					}
				})
			}
		}
		// The responses API would refuse the option.
		reply := stack.Post("/v1/responses", `{"model":"model-a","stream":true}`, "x-backend-echo", "1")
		if bytes.Contains(reply.Body, []byte("stream_options")) {
			t.Errorf("the body was changed: %.600s", reply.Body)
		}
	})
}

func TestIncludeUsageCanBeSwitchedOff(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_INCLUDE_USAGE=false"}})
	reply := stack.Post("/v1/chat/completions", rig.StreamingChat("model-a"), "x-backend-echo", "1", "x-backend-strict", "1")
	if reply.Status != 200 || bytes.Contains(reply.Body, []byte("stream_options")) {
		t.Errorf("status %d: %.600s", reply.Status, reply.Body)
	}
	wantUsage(t, stack.Envoy.Access(reply.ID), "-", "-", "-", "-", "model-a")
}

func TestEachTopologyRefusesBadBodies(t *testing.T) {
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) {
		padding := strings.Repeat(" ", 200000)
		for name, body := range map[string]string{
			"no JSON":       "hello",
			"no model":      `{"messages":[]}`,
			"two models":    `{"model":"model-a","model":"model-b"}`,
			"late":          `{"messages":[` + padding + `],"model":"model-a"`,
			"control":       `{"model":"model-a\u0001"}`,
			"no body":       "",
			"spaces":        padding,
			"bad character": "{\"model\":\"\xff\"}",
		} {
			t.Run(name, func(t *testing.T) {
				wantRefused(t, stack, stack.Post("/v1/chat/completions", body), 400)
			})
		}
		compressed := stack.Post("/v1/chat/completions", "\x1f\x8b\x08"+padding, "content-encoding", "gzip")
		if message := wantRefused(t, stack, compressed, 415); !strings.Contains(message, "content-encoding: gzip") {
			t.Errorf("the message is %q", message)
		}
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			t.Errorf("status %d after the refusals", reply.Status)
		}
		waitNoStreams(t, stack)
	})
}

// In pieces, a request is on its way before its end is seen: what is wrong with that reaches the
// client all the same, and never the backend.
func TestWhatIsWrongLaterIsRefusedThen(t *testing.T) {
	for _, name := range []string{"full duplex", "streamed early"} {
		t.Run(name, func(t *testing.T) {
			stack := rig.StartStack(t, topologies[name])
			padding := strings.Repeat(" ", 400000)
			for _, end := range []string{`"model":"model-b"}`, `]`, `"x":1`} {
				reply := stack.Post("/v1/chat/completions", `{"model":"model-a",`+padding+end)
				if reply.Status != 400 || !bytes.Contains(reply.Body, []byte(`{"error":{"message":`)) {
					t.Errorf("%s: status %d: %s", end, reply.Status, reply.Body)
				}
			}
			waitNoStreams(t, stack)
		})
	}
}

// More than Envoy's buffers hold, and more than our limit.
func TestFullDuplexBodiesOfAnySize(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{
		Filters: "full duplex", BufferLimit: 65536, Settings: []string{"EXTPROC_BODY_LIMIT=8Mi"},
	})
	body := `{"model":"model-a","messages":[{"role":"user","content":"` + strings.Repeat("x", 4<<20) + `"}]}`
	reply := stack.Post("/v1/chat/completions", body, "x-backend-pad", "4000000")
	if facts := reply.Facts(t); reply.Status != 200 || facts.BodyBytes != len(body) || len(reply.Body) < 4000000 {
		t.Errorf("status %d, %d bytes there, %d back", reply.Status, facts.BodyBytes, len(reply.Body))
	}
	wantUsage(t, stack.Envoy.Access(reply.ID), "10", "4", "8", "18", "model-a")
	reply = stack.Try(stack.Request("POST", "/v1/chat/completions", body+strings.Repeat(" ", 4<<20)))
	if access := stack.Envoy.Access(reply.ID); access["status"] != "413" {
		t.Errorf("access log: %v", access)
	}
	waitNoStreams(t, stack)
}

// Would catch: a reply that Envoy turns into a 500 when the backend has done its work, because it
// collects what is longer than its buffer.
func TestRepliesLongerThanEnvoysBufferPass(t *testing.T) {
	for _, name := range []string{"one filter", "two filters", "overridden"} {
		t.Run(name, func(t *testing.T) {
			options := topologies[name]
			options.BufferLimit = 65536
			stack := rig.StartStack(t, options)
			for _, knobs := range [][]string{{}, {"x-backend-trailers", "1", "te", "trailers"}} {
				reply := stack.Post("/v1/chat/completions", rig.Chat("model-a"), append(knobs, "x-backend-pad", "400000")...)
				if reply.Status != 200 || len(reply.Body) < 400000 || !bytes.HasSuffix(reply.Body, []byte("}\n")) {
					t.Errorf("%v: status %d, %d bytes: %.200s %v", knobs, reply.Status, len(reply.Body), reply.Body, stack.Envoy.Access(reply.ID))
				}
				wantUsage(t, stack.Envoy.Access(reply.ID), "10", "4", "8", "18", "model-a")
			}
			waitNoStreams(t, stack)
		})
	}
}

// beginUpload sends the beginning of a body; what is written then is the rest of it.
func beginUpload(stack *rig.Stack, beginning string) (*io.PipeWriter, chan rig.Reply) {
	reader, writer := io.Pipe()
	request := stack.Request("POST", "/v1/chat/completions", "", "x-backend-echo", "1")
	request.Body, request.ContentLength, request.GetBody = reader, -1, nil
	replies := make(chan rig.Reply, 1)
	go func() { replies <- stack.Try(request) }()
	io.WriteString(writer, beginning)
	return writer, replies
}

// Envoy waits message_timeout for the answer to the headers, which has to wait for the model. Would catch:
// a limit on the time of an upload in the mode that has none.
func TestOnlyFullDuplexWaitsForAModelThatIsLate(t *testing.T) {
	start := func(name string) *rig.Stack {
		return rig.StartStack(t, rig.StackOptions{Filters: name, Edit: func(config string) string {
			return strings.ReplaceAll(config, "message_timeout: 10s", "message_timeout: 1s")
		}})
	}
	duplex, early := start("full duplex"), start("streamed early")
	const beginning = `{"messages":[],`
	patient, answered := beginUpload(duplex, beginning)
	impatient, timedOut := beginUpload(early, beginning)
	defer impatient.Close()
	if reply := <-timedOut; reply.Status != 504 {
		t.Errorf("streamed early: status %d, %v: %.300s", reply.Status, reply.Err, reply.Body)
	}
	const end = `"model":"model-a"}`
	io.WriteString(patient, end)
	patient.Close()
	if reply := <-answered; reply.Status != 200 || reply.Facts(t).Body != beginning+end {
		t.Errorf("full duplex: status %d, %v: %.300s", reply.Status, reply.Err, reply.Body)
	}
}

// trailing makes a body's end known only by the trailer behind it.
func trailing(request *http.Request) *http.Request {
	request.ContentLength = -1
	request.Trailer = http.Header{"X-Client-Trailer": {"the end"}}
	return request
}

func TestTrailersAreAnswered(t *testing.T) {
	for name, options := range topologies {
		t.Run(name, func(t *testing.T) {
			stack := rig.StartStack(t, options)
			for _, body := range []string{rig.Chat("model-a"), rig.StreamingChat("model-a")} {
				request := stack.Request("POST", "/v1/chat/completions", body, "x-backend-trailers", "1", "te", "trailers")
				response, err := stack.Client.Do(trailing(request))
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != 200 {
					t.Fatalf("status %d, %v: %s", response.StatusCode, err, text)
				}
				wantUsage(t, stack.Envoy.Access(request.Header.Get("x-test-id")), "10", "4", "8", "18", "model-a")
				// The cluster of the two filters has no trailers on.
				if got := response.Trailer.Get("x-backend-trailer"); got != "the end" && options.Cluster == "" {
					t.Errorf("the reply's trailer is %q", got)
				}
			}
			wantRefused(t, stack, stack.Try(trailing(stack.Request("POST", "/v1/chat/completions", `{"messages":[]}`))), 400)
			waitNoStreams(t, stack)
		})
	}
}

func inflate(t *testing.T, format string, compressed []byte) []byte {
	t.Helper()
	var reader io.Reader
	var err error
	switch format {
	case "gzip":
		reader, err = gzip.NewReader(bytes.NewReader(compressed))
	case "deflate":
		reader, err = zlib.NewReader(bytes.NewReader(compressed))
	default:
		reader = flate.NewReader(bytes.NewReader(compressed))
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCompressedRepliesAreCountedAndPassUntouched(t *testing.T) {
	inEachTopology(t, func(t *testing.T, stack *rig.Stack) {
		for _, format := range []string{"gzip", "deflate", "raw"} {
			for _, body := range []string{rig.Chat("model-b"), rig.StreamingChat("model-b")} {
				for _, knobs := range [][]string{{"x-backend-pad", "10000"}, {"x-backend-cut", "3"}} {
					reply := stack.Post("/v1/chat/completions", body, append(knobs, "x-backend-format", format)...)
					if reply.Status != 200 || reply.Header.Get("content-encoding") == "" {
						t.Fatalf("status %d, content-encoding %q", reply.Status, reply.Header.Get("content-encoding"))
					}
					if text := inflate(t, format, reply.Body); !bytes.Contains(text, []byte(`"name":"b"`)) {
						t.Errorf("%s: %.200q", format, text)
					}
					wantUsage(t, stack.Envoy.Access(reply.ID), "10", "4", "8", "18", "model-b")
				}
			}
		}
	})
}

// Would catch: memory or time that grows with what a small reply claims to be.
func TestDecompressionBomb(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_BODY_LIMIT=1Mi"}})
	for _, body := range []string{rig.Chat("model-a"), rig.StreamingChat("model-a")} {
		reply := stack.Post("/v1/chat/completions", body, "x-backend-format", "bomb")
		if reply.Status != 200 || len(inflate(t, "gzip", reply.Body)) < 64<<20 {
			t.Errorf("status %d, %d bytes", reply.Status, len(reply.Body))
		}
		if model := stack.Envoy.Access(reply.ID)["response_model"]; model != "-" {
			t.Errorf("access log: response_model=%s", model)
		}
	}
	if unread := stack.Extproc.Metric(`extproc_responses_total{outcome="unreadable"}`); unread != 2 {
		t.Errorf("%v replies are counted as unreadable, want 2", unread)
	}
}

// Nothing waits for the processor, which sees all the same: bodies in pieces, and no modes.
func TestAFilterThatOnlyWatchesCounts(t *testing.T) {
	defer func() { _, m := (*rig.Extproc)(nil), 0; _ = m }()
	stack := rig.StartStack(t, rig.StackOptions{Filters: "only watching"})
	for _, body := range []string{rig.Chat("model-b"), rig.StreamingChat("model-b"), "not JSON"} {
		reply := stack.Post("/v1/chat/completions", body, "x-ai-eg-model", "model-a", "x-backend-pad", "400000", "x-backend-usage", "11,5,22,9")
		if reply.Status != 200 || reply.Header.Get("x-backend-name") != "a" {
			t.Errorf("status %d from backend %q", reply.Status, reply.Header.Get("x-backend-name"))
		}
		wantUsage(t, stack.Envoy.Access(reply.ID), "-", "-", "-", "-", "-")
	}
	rig.Eventually(t, func() string {
		routed, tokens := stack.Extproc.Metric(`extproc_requests_total{outcome="routed"}`), stack.Extproc.Metric(`extproc_tokens_total{type="total"}`)
		if routed != 2 || tokens != 3*33 {
			return fmt.Sprintf("2 requests and 99 tokens are counted, not %v and %v", routed, tokens)
		}
		return ""
	})
}

/* the two filters */

func twoFilters(t *testing.T, settings ...string) *rig.Stack {
	options := topologies["two filters"]
	options.Settings = settings
	return rig.StartStack(t, options)
}

// As a sidecar on a Unix socket, which is how the gateway runs it.
func TestBackendAndRouteReachTheMetadata(t *testing.T) {
	folder, err := os.MkdirTemp("", "x") // a short one: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	stack := twoFilters(t, "EXTPROC_LISTEN=unix://"+filepath.Join(folder, "run.sock"))
	for _, name := range []string{"a", "b"} {
		for _, body := range []string{rig.Chat("model-" + name), rig.StreamingChat("model-" + name)} {
			reply := stack.Post("/v1/chat/completions", body)
			access := stack.Envoy.Access(reply.ID)
			for key, want := range map[string]string{
				"backend_name": "ns/backend-" + name + "/route/route-" + name + "/rule/0/ref/0",
				"service":      "ns/backend-" + name, "route": "ns/route-" + name,
				"override": "model-" + name, "total": "18",
			} {
				if access[key] != want {
					t.Errorf("access log: %s=%s, want %s", key, access[key], want)
				}
			}
		}
	}
	if known := stack.Extproc.Metric(`extproc_upstream_streams_total{backend="named"}`); known != 4 {
		t.Errorf("%v streams from behind the router are counted, want 4", known)
	}
}

// The streams of one request may meet different processors: each of the two has only one filter here.
func TestTheTwoFiltersShareNoState(t *testing.T) {
	stack := twoFilters(t)
	other := rig.StartExtproc(t)
	options := topologies["two filters"]
	envoy := rig.StartEnvoy(t, rig.EnvoyOptions{
		Extproc: stack.Extproc.GRPC, ExtprocBehind: other.GRPC, BackendA: stack.A.Address, BackendB: stack.B.Address,
		Filters: options.Filters, Cluster: options.Cluster,
	})
	stack.Envoy = envoy
	reply := stack.Post("/v1/chat/completions", rig.Chat("model-b"))
	access := envoy.Access(reply.ID)
	if access["service"] != "ns/backend-b" || access["override"] != "model-b" || access["total"] != "18" {
		t.Errorf("access log: %v", access)
	}
	if known := other.Metric(`extproc_upstream_streams_total{backend="named"}`); known != 1 {
		t.Errorf("the second processor counts %v streams, want 1", known)
	}
	if routed := other.Metric(`extproc_requests_total`); routed != 0 {
		t.Errorf("the second processor counts %v requests, want 0", routed)
	}
}

// A retry is another stream of the second filter for the same one of the first.
func TestARetryIsAnotherStreamBehindTheRouter(t *testing.T) {
	stack := twoFilters(t)
	reply := stack.Post("/v1/chat/completions", rig.StreamingChat("model-retried"), "x-backend-status", "503")
	if reply.Status != 503 || reply.Header.Get("x-backend-name") != "a" {
		t.Errorf("status %d: %s", reply.Status, reply.Body)
	}
	if streams := stack.Extproc.Metric(`extproc_upstream_streams_total{backend="named"}`); streams != 3 {
		t.Errorf("%v streams from behind the router, want 3", streams)
	}
	if routed := stack.Extproc.Metric(`extproc_requests_total{outcome="routed"}`); routed != 1 {
		t.Errorf("%v requests are counted as routed, want 1", routed)
	}
	if service := stack.Envoy.Access(reply.ID)["service"]; service != "ns/backend-a" {
		t.Errorf("access log: service=%s", service)
	}
}

// Would catch: a request that fails because nobody told the second filter anything.
func TestASecondFilterThatKnowsNothingGoesOn(t *testing.T) {
	stack := twoFilters(t)
	// What is no request to a model goes to a cluster of the same kind, by a route without metadata
	// and without x-ai-eg-model.
	reply := stack.Post("/plain/path", "{}")
	if reply.Status != 200 {
		t.Fatalf("status %d: %s", reply.Status, reply.Body)
	}
	access := stack.Envoy.Access(reply.ID)
	if access["override"] != "-" || access["route"] != "-" || access["service"] != "ns/backend-a" {
		t.Errorf("access log: %v", access)
	}
	stack.Envoy = rig.StartEnvoy(t, rig.EnvoyOptions{
		Extproc: stack.Extproc.GRPC, BackendA: stack.A.Address, BackendB: stack.B.Address, NoNames: true,
		Filters: topologies["two filters"].Filters, Cluster: topologies["two filters"].Cluster,
	})
	reply = stack.Post("/v1/chat/completions?q=1", rig.Chat("model-a"), "x-backend-echo", "1")
	wantRouted(t, reply, rig.Chat("model-a"), "model-a", "a")
	access = stack.Envoy.Access(reply.ID)
	if access["backend_name"] != "-" || access["service"] != "-" || access["override"] != "model-a" || access["total"] != "18" {
		t.Errorf("access log: %v", access)
	}
	if unknown := stack.Extproc.Metric(`extproc_upstream_streams_total{backend="unknown"}`); unknown != 1 {
		t.Errorf("%v streams are counted as knowing nothing, want 1", unknown)
	}
}
