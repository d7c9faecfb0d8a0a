// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"

	"extproc/tests/internal/rig"
)

// wantUsage checks what Envoy's access log got as dynamic metadata; "-" is "not there".
func wantUsage(t *testing.T, access map[string]string, input, cached, output, total, model string) {
	t.Helper()
	want := map[string]string{
		"input": input, "cached": cached, "output": output, "total": total, "response_model": model,
	}
	for name, value := range want {
		if access[name] != value {
			t.Errorf("access log: %s=%s, want %s", name, access[name], value)
		}
	}
}

func TestUsageReachesTheAccessLog(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for _, path := range modelPaths {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream=%v", path, stream), func(t *testing.T) {
				body := fmt.Sprintf(`{"model":"model-a","input":"Hello","stream":%v}`, stream)
				reply := stack.Post(path, body, "x-backend-usage", "1234,567,89")
				if reply.Status != 200 {
					t.Fatalf("status %d: %s", reply.Status, reply.Body)
				}
				access := stack.Envoy.Access(reply.ID)
				if path == "/v1/embeddings" {
					// Embeddings have neither output nor cached tokens.
					for _, name := range []string{"input", "total"} {
						if access[name] != "1234" {
							t.Errorf("access log: %s=%s", name, access[name])
						}
					}
					return
				}
				wantUsage(t, access, "1234", "567", "89", "1323", "model-a")
			})
		}
	}
}

// Events cut at any place: a parser that wants a whole event, line or word in one piece fails.
func TestUsageOfAStreamCutAnywhere(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	type sent struct {
		what  string
		reply rig.Reply
	}
	replies := make(chan sent)
	count := 0
	for _, cut := range []string{"1", "2", "3", "7", "50"} {
		for _, path := range []string{"/v1/chat/completions", "/v1/completions", "/v1/responses"} {
			request := stack.Request("POST", path, rig.StreamingChat("model-a"), "x-backend-usage", "11,5,22",
				"x-backend-chunks", "1", "x-backend-cut", cut, "x-backend-delay-ms", "1")
			go func() { replies <- sent{path + " in pieces of " + cut, stack.Try(request)} }()
			count++
		}
	}
	for range count {
		sent := <-replies
		t.Run(sent.what, func(t *testing.T) {
			if sent.reply.Err != nil || sent.reply.Status != 200 {
				t.Fatalf("status %d, %v", sent.reply.Status, sent.reply.Err)
			}
			wantUsage(t, stack.Envoy.Access(sent.reply.ID), "11", "5", "22", "33", "model-a")
		})
	}
}

// A stream that breaks off has no usage; what it had is no reason to cut anything else.
func TestReplyWithoutUsage(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	cases := map[string]struct {
		headers []string
		status  int
	}{
		"text":            {[]string{"x-backend-format", "text"}, 200},
		"JSON that stops": {[]string{"x-backend-format", "broken"}, 200},
		"empty":           {[]string{"x-backend-format", "empty"}, 200},
		"error 429":       {[]string{"x-backend-status", "429"}, 429},
		"error 503":       {[]string{"x-backend-status", "503"}, 503},
		"error as text":   {[]string{"x-backend-status", "500", "x-backend-format", "text"}, 500},
	}
	for name, c := range cases {
		for _, body := range []string{rig.Chat("model-a"), rig.StreamingChat("model-a")} {
			t.Run(name, func(t *testing.T) {
				reply := stack.Post("/v1/chat/completions", body, c.headers...)
				direct := directly(t, stack, body, c.headers...)
				if reply.Status != c.status || reply.Header.Get("x-backend-name") != "a" {
					t.Errorf("status %d, want the backend's own %d", reply.Status, c.status)
				}
				got, want := headersEcho.ReplaceAll(reply.Body, nil), headersEcho.ReplaceAll(direct.Body, nil)
				if !bytes.Equal(got, want) {
					t.Errorf("body %q, the backend sends %q", got, want)
				}
				wantUsage(t, stack.Envoy.Access(reply.ID), "-", "-", "-", "-", "-")
			})
		}
	}
}

// directly sends a request to backend a past Envoy.
func directly(t *testing.T, stack *rig.Stack, body string, headers ...string) rig.Reply {
	t.Helper()
	request := stack.Request("POST", "/v1/chat/completions", body, headers...)
	request.URL.Host = stack.A.Address
	reply := stack.Try(request)
	if reply.Err != nil {
		t.Fatal(reply.Err)
	}
	return reply
}

func TestCompressedReplyPassesUntouched(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for _, body := range []string{rig.Chat("model-b"), rig.StreamingChat("model-b")} {
		reply := stack.Post("/v1/chat/completions", body,
			"x-backend-format", "gzip", "x-backend-pad", "10000")
		if reply.Status != 200 || reply.Header.Get("content-encoding") != "gzip" {
			t.Fatalf("status %d, content-encoding %q", reply.Status, reply.Header.Get("content-encoding"))
		}
		reader, err := gzip.NewReader(bytes.NewReader(reply.Body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil || !bytes.Contains(text, []byte(`"name":"b"`)) {
			t.Errorf("%v: %.200q", err, text)
		}
	}
}
