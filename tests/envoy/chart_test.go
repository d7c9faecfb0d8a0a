// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// The program as the chart starts it, with all values in use (tests/chart/golden/everything.yaml): what
// the chart writes is what the program reads.
func TestTheProgramTakesWhatTheChartWrites(t *testing.T) {
	rendering, err := os.ReadFile(filepath.Join(rig.Root(), "tests", "chart", "golden", "everything.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	// What is mounted there, what the rig has to choose, and what it reads.
	here := map[string]string{
		"EXTPROC_MODELS":     filepath.Join(folder, "models"),
		"PPROF_TOKEN_FILE":   filepath.Join(folder, "token"),
		"PPROF_SWITCH_FILE":  filepath.Join(folder, "switch"),
		"EXTPROC_LISTEN":     "127.0.0.1:0,unix://" + folder + "/extproc.sock?mode=0666",
		"PPROF_ADDRESS":      "127.0.0.1:0",
		"EXTPROC_LOG_FORMAT": "logfmt",
	}
	for name, text := range map[string]string{"models": "gpt-4o\nmeta-llama/Llama-3.1-8B\n", "token": "0123456789abcdef\n", "switch": "on\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	variable := regexp.MustCompile(`- name: ((?:EXTPROC|PPROF)_\w+)\n +value: (?:"([^"\n]*)"|(\S+))\n`)
	var settings []string
	for _, found := range variable.FindAllStringSubmatch(string(rendering), -1) {
		value := found[2] + found[3]
		if other, isOther := here[found[1]]; isOther {
			value = other
		}
		settings = append(settings, found[1]+"="+value)
	}
	if len(settings) < 24 {
		t.Fatalf("everything.yaml has %d settings: %v", len(settings), settings)
	}
	stack := rig.StartStack(t, rig.StackOptions{Settings: settings})
	if reply := stack.Try(stack.Request("GET", "/v1/models", "")); !bytes.Contains(reply.Body, []byte(`"meta-llama/Llama-3.1-8B"`)) {
		t.Errorf("/v1/models: status %d: %s", reply.Status, reply.Body)
	}
	// Its includeUsage is false.
	body := rig.StreamingChat("model-a")
	reply := stack.Post("/v1/chat/completions", body, "x-backend-echo", "1")
	if reply.Status != 200 || strings.Contains(string(reply.Body), "include_usage") {
		t.Errorf("status %d: %.600s", reply.Status, reply.Body)
	}
}
