// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

func startAlone(t *testing.T, edit func(config string) string) *rig.Stack {
	t.Helper()
	stack := rig.StartStack(t, rig.StackOptions{})
	stack.Envoy = rig.StartEnvoy(t, rig.EnvoyOptions{Whole: "by itself", Edit: edit, Places: map[string]string{
		"127.0.0.1:9901": "127.0.0.1:0", "0.0.0.0:10000": "127.0.0.1:0",
		"envoy-ai-gateway-extproc.default:1063": stack.Extproc.GRPC,
		"llama.models:8000":                     stack.A.Address,
		"qwen.models:8000":                      stack.B.Address,
	}})
	return stack
}

// The whole configuration in docs/envoy.md, with nothing changed in it but addresses.
func TestEnvoyByItself(t *testing.T) {
	stack := startAlone(t, nil)
	for model, backend := range map[string]string{"llama-3.1-8b": "a", "qwen2.5-7b": "b"} {
		reply := stack.Post("/v1/chat/completions?q=1", rig.Chat(model), "x-backend-echo", "1", "x-backend-usage", "11,5,22")
		wantRouted(t, reply, rig.Chat(model), model, backend)
		reply = stack.Post("/v1/chat/completions", rig.StreamingChat(model), "x-backend-usage", "7,0,6", "x-backend-strict", "1")
		if reply.Status != 200 {
			t.Errorf("%s, streaming: status %d: %.300s", model, reply.Status, reply.Body)
		}
		for _, usage := range []string{"input=11 output=22 total=33", "input=7 output=6 total=13"} {
			stack.Envoy.WaitLine("the usage of "+model, func(line string) bool {
				return strings.Contains(line, " model="+model+" ") && strings.HasSuffix(line, usage)
			})
		}
	}
	wantFirstEventAtOnce(t, stack, "llama-3.1-8b")
	// Larger than Envoy's own buffers.
	body := `{"messages":[{"role":"user","content":"` + strings.Repeat("x", 4<<20) + `"}],"model":"qwen2.5-7b"}`
	if reply := stack.Post("/v1/chat/completions", body); reply.Status != 200 {
		t.Errorf("4 MiB: status %d: %.300s", reply.Status, reply.Body)
	}
	if reply := stack.Try(stack.Request("POST", "/v1/chat/completions", rig.Chat("unknown"))); reply.Status != 404 {
		t.Errorf("a model without a route: status %d", reply.Status)
	}
	if reply := stack.Try(stack.Request("POST", "/v1/chat/completions", "{}")); reply.Status != 400 {
		t.Errorf("no model: status %d", reply.Status)
	}
}

// replaceAll replaces each of the pairs, which must be there.
func replaceAll(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("docs/envoy.md has no %q", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// As Envoy Gateway configures Envoy for the chart's EnvoyExtensionPolicy: the filter is off but for the
// routes that turn it on, buffers hold 32 KiB, and bodies pass while they are read.
func asEnvoyGateway(t *testing.T, config string) string {
	t.Helper()
	const enable = `
                          typed_per_filter_config:
                            envoy.filters.http.ext_proc:
                              "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
                              config: {}
`
	return replaceAll(t, config,
		"- name: envoy.filters.http.ext_proc\n", "- name: envoy.filters.http.ext_proc\n                    disabled: true\n",
		"cluster_name: extproc } }\n", "cluster_name: extproc }, timeout: 10s }\n",
		"52428800", "32768", "allow_mode_override: true", "allow_mode_override: false",
		"_body_mode: BUFFERED", "_body_mode: FULL_DUPLEX_STREAMED", "_trailer_mode: SKIP", "_trailer_mode: SEND",
		", timeout: 0s }\n", ", timeout: 0s }"+enable,
		"for this model\\n\" } }\n", "for this model\\n\" } }"+enable,
	)
}

func TestEnvoyAsEnvoyGatewayConfiguresIt(t *testing.T) {
	stack := startAlone(t, func(config string) string { return asEnvoyGateway(t, config) })
	for model, backend := range map[string]string{"llama-3.1-8b": "a", "qwen2.5-7b": "b"} {
		body := `{"messages":[{"role":"user","content":"` + strings.Repeat("x", 4<<20) + `"}],"model":"` + model + `"}`
		reply := stack.Post("/v1/chat/completions", body, "x-backend-usage", "11,5,22")
		if facts := reply.Facts(t); reply.Status != 200 || facts.Name != backend || facts.BodyBytes != len(body) {
			t.Errorf("%s: status %d from %q", model, reply.Status, facts.Name)
		}
		stack.Envoy.WaitLine("the usage of "+model, func(line string) bool {
			return strings.Contains(line, " model="+model+" ") && strings.HasSuffix(line, "input=11 output=22 total=33")
		})
	}
	wantFirstEventAtOnce(t, stack, "llama-3.1-8b")
}

// The route that a request takes before its model is known has to turn the filter on.
func TestEnvoyGatewayNeedsARouteForRequestsWithoutAModel(t *testing.T) {
	stack := startAlone(t, func(config string) string {
		before, _, _ := strings.Cut(asEnvoyGateway(t, config), "                        - match: { prefix: / }\n")
		_, clusters, _ := strings.Cut(config, "\n  clusters:\n")
		return before + "\n  clusters:\n" + clusters
	})
	if reply := stack.Post("/v1/chat/completions", rig.Chat("llama-3.1-8b")); reply.Status != 404 {
		t.Errorf("status %d: docs/envoy.md says that it takes such a route", reply.Status)
	}
}
