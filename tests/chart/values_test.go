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
