// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type valuesCase struct {
	Name    string
	Values  map[string]any
	Refused []string
}

func valuesTable(t *testing.T) []valuesCase {
	t.Helper()
	var table []valuesCase
	if err := yaml.UnmarshalStrict([]byte(read(t, "values_table.yaml")), &table); err != nil {
		t.Fatal(err)
	}
	return table
}

// null is Helm's only way to drop a map or list that is there by default: it is an empty one. Would
// catch: a template that takes one for a map all the same, and stops with an error of its own.
func TestMapsAndListsThatAreNullAreEmpty(t *testing.T) {
	root := readSchema(t)
	values := map[string]any{}
	full := map[string]any{}
	for _, value := range readValues(t) {
		kind := root.resolve(root.leaves("")[value.path]).Type
		switch {
		case kind != "object" && kind != "array":
		case strings.Contains(code(value.fallback), ":"):
			full = changed(full, nested(value.path, map[string]any(nil)))
		default:
			values = changed(values, nested(value.path, map[string]any(nil)))
		}
	}
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			nothing := mustTemplate(t, helm, "{}")
			if output := mustTemplate(t, helm, inYAML(t, values)); output != nothing {
				t.Errorf("%s\nmakes\n%s", inYAML(t, values), output)
			}
			groups := "{networkPolicy: {peers: null}, extProc: {service: null}}"
			if output := mustTemplate(t, helm, groups); output != nothing {
				t.Errorf("%s makes\n%s", groups, output)
			}
			bare := mustTemplate(t, helm, inYAML(t, full))
			for _, key := range []string{"securityContext:", "memory: 512Mi", "strategy:"} {
				if !strings.Contains(nothing, key) || strings.Contains(bare, key) {
					t.Errorf("%s\nmakes\n%s", inYAML(t, full), bare)
				}
			}
		})
	}
}

func TestValuesAreAcceptedOrRefusedWithAReason(t *testing.T) {
	for _, row := range valuesTable(t) {
		for _, helm := range helms {
			t.Run(row.Name+"/"+helm, func(t *testing.T) {
				t.Parallel()
				values, err := yaml.Marshal(row.Values)
				if err != nil {
					t.Fatal(err)
				}
				output, err := template(t, helm, string(values))
				if len(row.Refused) == 0 {
					if err != nil {
						t.Errorf("not accepted: %v", err)
					}
					return
				}
				if err == nil {
					t.Fatalf("accepted:\n%s", output)
				}
				for _, text := range row.Refused {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("the message does not have %q: %v", text, err)
					}
				}
				if testing.Verbose() {
					t.Log(err)
				}
			})
		}
	}
}
