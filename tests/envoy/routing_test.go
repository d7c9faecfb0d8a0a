// SPDX-License-Identifier: Apache-2.0

// Package envoy tests the built external processor through the real Envoy.
package envoy

import (
	"net/http"
	"testing"

	"extproc/tests/internal/rig"
)

var modelPaths = []string{
	"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses",
}

// Would catch: the model not read, the header not set, or the route not chosen anew.
func TestModelChoosesBackend(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for _, path := range modelPaths {
		for model, backend := range map[string]string{"model-a": "a", "model-b": "b"} {
			t.Run(path+" "+model, func(t *testing.T) {
				body := `{"model":"` + model + `","input":"Hello","messages":[]}`
				reply := stack.Post(path+"?trace=1", body)
				facts := reply.Facts(t)
				if reply.Status != 200 || facts.Name != backend {
					t.Errorf("status %d from backend %q, want 200 from %q", reply.Status, facts.Name, backend)
				}
				if got := facts.Headers["x-ai-eg-model"]; got != model {
					t.Errorf("x-ai-eg-model is %q at the backend, want %q", got, model)
				}
				if got := facts.Headers["x-ai-eg-original-path"]; got != path+"?trace=1" {
					t.Errorf("x-ai-eg-original-path is %q, want the path with its query", got)
				}
				if facts.BodyBytes != len(body) {
					t.Errorf("%d bytes of body arrived, %d were sent", facts.BodyBytes, len(body))
				}
			})
		}
	}
}

func TestModelWithoutRouteGetsTheCatchAll(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	// Envoy's own 404 comes back to the processor as a reply and must be answered: else the client waits.
	reply := stack.Post("/v1/chat/completions", rig.Chat("model-unknown"))
	if reply.Status != 404 {
		t.Errorf("status %d, want 404: %s", reply.Status, reply.Body)
	}
	if model := stack.Envoy.Access(reply.ID)["model"]; model != "model-unknown" {
		t.Errorf("access log has model %q", model)
	}
}

// A client that names a model in the header itself would reach a backend past all checks.
func TestClientHeaderDoesNotSteer(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	forged := []string{
		"x-ai-eg-model", "model-b", "x-ai-eg-original-path", "/forged", "x-ai-eg-other", "forged",
	}
	t.Run("the body's model wins", func(t *testing.T) {
		facts := stack.Post("/v1/chat/completions", rig.Chat("model-a"), forged...).Facts(t)
		if facts.Name != "a" || facts.Headers["x-ai-eg-model"] != "model-a" {
			t.Errorf("backend %q, x-ai-eg-model %q", facts.Name, facts.Headers["x-ai-eg-model"])
		}
		if got := facts.Headers["x-ai-eg-original-path"]; got != "/v1/chat/completions" {
			t.Errorf("x-ai-eg-original-path is %q", got)
		}
		if got, there := facts.Headers["x-ai-eg-other"]; there {
			t.Errorf("x-ai-eg-other: %q reached the backend", got)
		}
	})
	for _, request := range []struct{ method, path, body string }{
		{"POST", "/v1/unknown", `{"model":"model-a"}`},
		{"GET", "/v1/chat/completions", ""},
		{"GET", "/v1/models", ""},
		{"DELETE", "/v1/files/1", ""},
		{"POST", "/v1/chat/completions", ""},
	} {
		t.Run(request.method+" "+request.path+" is not routed by it", func(t *testing.T) {
			reply := stack.Try(stack.Request(request.method, request.path, request.body, forged...))
			if reply.Err != nil || (reply.Status != 404 && reply.Status != 400) {
				t.Errorf("status %d, %v, want 404: %s", reply.Status, reply.Err, reply.Body)
			}
			if backend := stack.Envoy.Access(reply.ID)["backend"]; backend != "-" {
				t.Errorf("reached backend %q", backend)
			}
		})
	}
	t.Run("nothing of it passes on another path", func(t *testing.T) {
		facts := stack.Post("/plain/path", "{}", forged...).Facts(t)
		if facts.Name != "a" {
			t.Errorf("backend %q", facts.Name)
		}
		for _, name := range []string{"x-ai-eg-model", "x-ai-eg-original-path", "x-ai-eg-other"} {
			if got, there := facts.Headers[name]; there {
				t.Errorf("%s: %q reached the backend", name, got)
			}
		}
	})
}

func TestOtherRequestsPass(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for _, request := range []struct{ method, body string }{
		{http.MethodGet, ""}, {http.MethodPost, "{}"}, {http.MethodPost, "\x00\xff not JSON"},
		{http.MethodPut, `{"model":"model-b"}`}, {http.MethodDelete, ""},
	} {
		reply := stack.Try(stack.Request(request.method, "/plain/path?q=1", request.body))
		if reply.Err != nil || reply.Status != 200 {
			t.Fatalf("%s: status %d, %v", request.method, reply.Status, reply.Err)
		}
		facts := reply.Facts(t)
		if facts.Name != "a" || facts.BodyBytes != len(request.body) {
			t.Errorf("%s %q: backend %q got %d bytes", request.method, request.body, facts.Name, facts.BodyBytes)
		}
		if access := stack.Envoy.Access(reply.ID); access["input"] != "-" || access["model"] != "-" {
			t.Errorf("%s: access log has model %s, input %s", request.method, access["model"], access["input"])
		}
	}
}
