// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"encoding/json"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// wantRefused checks that a reply is an error of the processor's own in OpenAI's form. It returns
// the message.
func wantRefused(t *testing.T, stack *rig.Stack, reply rig.Reply, status int) string {
	t.Helper()
	if reply.Status != status {
		t.Fatalf("status %d, want %d: %s", reply.Status, status, reply.Body)
	}
	if got := reply.Header.Get("content-type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("content-type %q", got)
	}
	var body struct {
		Error struct {
			Message string
			Type    string
		}
	}
	if err := json.Unmarshal(reply.Body, &body); err != nil {
		t.Errorf("%v: %q", err, reply.Body)
	}
	if body.Error.Message == "" || body.Error.Type == "" {
		t.Errorf("no error.message or error.type: %s", reply.Body)
	}
	if backend := stack.Envoy.Access(reply.ID)["backend"]; backend != "-" {
		t.Errorf("the request reached backend %q all the same", backend)
	}
	return body.Error.Message
}

func TestBadRequestGetsAnOpenAIError(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	bodies := map[string]string{
		"no JSON":                      "hello",
		"JSON that stops":              `{"model":"model-a","messages":[`,
		"text behind the JSON":         `{"model":"model-a"} x`,
		"an array":                     `["model-a"]`,
		"a quote and a line break":     "{\"model\":\"model-a\"\n\"x\"",
		"no model":                     `{"messages":[]}`,
		"model null":                   `{"model":null}`,
		"model a number":               `{"model":1}`,
		"model an object":              `{"model":{"a":1}}`,
		"model an array":               `{"model":["model-a"]}`,
		"model empty":                  `{"model":""}`,
		"model twice":                  `{"model":"model-a","model":"model-b"}`,
		"model twice, one escaped":     `{"model":"model-a","\u006dodel":"model-b"}`,
		"model twice, the same":        `{"model":"model-a","messages":[],"model":"model-a"}`,
		"control character in model":   `{"model":"model-a\u0001"}`,
		"line break in model":          `{"model":"model-a\r\nx-forged: 1"}`,
		"NUL in model":                 `{"model":"model-a\u0000"}`,
		"DEL in model":                 `{"model":"model-a\u007f"}`,
		"invalid UTF-8 in model":       "{\"model\":\"model-\xff\"}",
		"model only in a deeper level": `{"messages":[{"model":"model-a"}]}`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			for _, path := range modelPaths {
				wantRefused(t, stack, stack.Post(path, body), 400)
			}
		})
	}
	// The refusals have left the connections to Envoy intact.
	if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
		t.Errorf("status %d after the refusals", reply.Status)
	}
	waitNoStreams(t, stack)
}

// Nested keys of the same name are no duplicates, and what is only unusual is not refused.
func TestUnusualButGoodRequests(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	bodies := map[string]string{
		"nested model":      `{"messages":[{"model":"x","model":"y"}],"model":"model-a","metadata":{"model":1}}`,
		"model last":        `{"messages":[{"role":"user","content":"\ud83d\ude00 \"}{"}],"model":"model-a"}`,
		"escaped name":      `{"\u006dodel":"model-a"}`,
		"escaped value":     `{"model":"model\u002da"}`,
		"spaces everywhere": " \r\n\t{ \"model\" : \"model-a\" } \n",
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			reply := stack.Post("/v1/chat/completions", body)
			if reply.Status != 200 || reply.Facts(t).Name != "a" {
				t.Errorf("status %d: %s", reply.Status, reply.Body)
			}
		})
	}
}

func TestLargeBodies(t *testing.T) {
	const limit = 4 << 20
	stack := rig.StartStack(t, rig.StackOptions{
		Settings: []string{"EXTPROC_BODY_LIMIT=2Mi"}, BufferLimit: limit,
	})
	chat := func(size int) string {
		body := `{"messages":[{"role":"user","content":""}],"model":"model-b"}`
		return strings.Replace(body, `""`, `"`+strings.Repeat("y", size-len(body))+`"`, 1)
	}
	t.Run("1 MiB passes", func(t *testing.T) {
		reply := stack.Post("/v1/chat/completions", chat(1<<20))
		if facts := reply.Facts(t); facts.Name != "b" || facts.BodyBytes != 1<<20 {
			t.Errorf("backend %q got %d bytes", facts.Name, facts.BodyBytes)
		}
	})
	t.Run("exactly our limit passes", func(t *testing.T) {
		if reply := stack.Post("/v1/chat/completions", chat(2<<20)); reply.Status != 200 {
			t.Errorf("status %d: %s", reply.Status, reply.Body)
		}
	})
	t.Run("a byte over our limit", func(t *testing.T) {
		wantRefused(t, stack, stack.Post("/v1/chat/completions", chat(2<<20+1)), 413)
	})
	t.Run("far over our limit", func(t *testing.T) {
		wantRefused(t, stack, stack.Post("/v1/chat/completions", chat(limit-1000)), 413)
	})
	t.Run("over Envoy's buffer limit", func(t *testing.T) {
		// Envoy's own answer; it may come while the client still sends, and then closes.
		reply := stack.Try(stack.Request("POST", "/v1/chat/completions", chat(limit+(1<<20))))
		if access := stack.Envoy.Access(reply.ID); access["status"] != "413" || access["backend"] != "-" {
			t.Errorf("access log: %v", access)
		}
	})
	t.Run("a large reply", func(t *testing.T) {
		const pad = 3 << 20
		reply := stack.Post("/v1/chat/completions", rig.Chat("model-a"), "x-backend-pad", "3145728")
		if reply.Status != 200 || len(reply.Body) < pad {
			t.Errorf("status %d, %d bytes", reply.Status, len(reply.Body))
		}
	})
	if reply := stack.Post("/v1/chat/completions", chat(1<<20)); reply.Status != 200 {
		t.Errorf("status %d after the refusals", reply.Status)
	}
	waitNoStreams(t, stack)
}
