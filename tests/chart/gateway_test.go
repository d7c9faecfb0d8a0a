// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// filter is what an ext_proc filter says of how messages pass.
type filter struct {
	Mode struct {
		RequestHeaders  string `json:"request_header_mode"`
		RequestBody     string `json:"request_body_mode"`
		ResponseHeaders string `json:"response_header_mode"`
		ResponseBody    string `json:"response_body_mode"`
	} `json:"processing_mode"`
	MessageTimeout    string `json:"message_timeout"`
	AllowModeOverride bool   `json:"allow_mode_override"`
	MetadataOptions   struct {
		Receiving struct{ Untyped []string } `json:"receiving_namespaces"`
	} `json:"metadata_options"`
}

// documentedFilter reads a block of docs/extproc.md; tests/envoy runs these through Envoy.
func documentedFilter(t *testing.T, name string) filter {
	t.Helper()
	_, block, found := strings.Cut(read(t, "../../docs/extproc.md"), "<!-- envoy: "+name+" -->\n```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	var filters []struct {
		Config filter `json:"typed_config"`
	}
	if err := yaml.Unmarshal([]byte(block), &filters); err != nil || !found || len(filters) != 1 {
		t.Fatalf("block %q: %v, %d filters", name, err, len(filters))
	}
	return filters[0].Config
}

// Envoy Gateway makes of the chart's EnvoyExtensionPolicy what docs/extproc.md has for Envoy: headers
// are sent where `request` and `response` are there, and a body's mode is written another way.
func TestExtensionPolicyIsADocumentedFilter(t *testing.T) {
	modes := map[string]string{"Buffered": "BUFFERED", "FullDuplexStreamed": "FULL_DUPLEX_STREAMED"}
	for mode, block := range map[string]string{"Buffered": "one filter", "FullDuplexStreamed": "full duplex"} {
		rendering := mustTemplate(t, "helm4", "{envoyExtensionPolicy: {enabled: true, targetRefs: [{name: a}], bodyMode: "+mode+"}}")
		text, err := json.Marshal(only(t, rendering, "EnvoyExtensionPolicy"))
		if err != nil {
			t.Fatal(err)
		}
		var policy struct {
			Spec struct {
				ExtProc []struct {
					ProcessingMode struct {
						AllowModeOverride bool
						Request, Response *struct{ Body string }
					}
					MessageTimeout string
					Metadata       struct{ WritableNamespaces []string }
				}
			}
		}
		if err := json.Unmarshal(text, &policy); err != nil || len(policy.Spec.ExtProc) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		from := policy.Spec.ExtProc[0]
		var made filter
		made.Mode.RequestHeaders, made.Mode.RequestBody = "SEND", modes[from.ProcessingMode.Request.Body]
		made.Mode.ResponseHeaders, made.Mode.ResponseBody = "SEND", modes[from.ProcessingMode.Response.Body]
		made.MessageTimeout, made.AllowModeOverride = from.MessageTimeout, from.ProcessingMode.AllowModeOverride
		made.MetadataOptions.Receiving.Untyped = from.Metadata.WritableNamespaces
		if documented := documentedFilter(t, block); !reflect.DeepEqual(made, documented) {
			t.Errorf("%s makes\n%+v\nand the block %q is\n%+v", mode, made, block, documented)
		}
	}
}
