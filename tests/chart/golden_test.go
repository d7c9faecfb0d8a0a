// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"path/filepath"
	"strings"
	"testing"
)

// goldens returns the values of each case in golden/, by its name.
func goldens(t *testing.T) map[string]string {
	t.Helper()
	files, _ := filepath.Glob("golden/*.values.yaml")
	if len(files) == 0 {
		t.Fatal("there is no golden/*.values.yaml")
	}
	values := map[string]string{}
	for _, file := range files {
		values[strings.TrimSuffix(filepath.Base(file), ".values.yaml")] = read(t, file)
	}
	return values
}

// A change of the chart shows as a change of these files, and a difference between the two Helms as
// a failure.
func TestRenderingIsAsExpected(t *testing.T) {
	for name, values := range goldens(t) {
		for _, helm := range helms {
			t.Run(name+"/"+helm, func(t *testing.T) {
				compare(t, "golden/"+name+".yaml", mustTemplate(t, helm, values, "--namespace", "llm"))
			})
		}
	}
}

func TestLintFindsNothing(t *testing.T) {
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			output, err := run(t, "", tool(t, helm), "lint", "--strict", chartFolder)
			if err != nil || strings.Contains(output, "[WARNING]") {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}
