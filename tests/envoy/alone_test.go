// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// The whole configuration in docs/envoy.md, with nothing changed in it but addresses.
func TestEnvoyByItself(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	stack.Envoy = rig.StartEnvoy(t, rig.EnvoyOptions{Whole: "by itself", Places: map[string]string{
		"127.0.0.1:9901": "127.0.0.1:0", "0.0.0.0:10000": "127.0.0.1:0",
		"envoy-ai-gateway-extproc.default:1063": stack.Extproc.GRPC,
		"llama.models:8000":                     stack.A.Address,
		"qwen.models:8000":                      stack.B.Address,
	}})
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
