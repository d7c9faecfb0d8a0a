// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"extproc/tests/internal/rig"
)

// exercise sends requests of all kinds, so that every family has samples.
func exercise(stack *rig.Stack) {
	for _, body := range []string{
		rig.Chat("model-a"), rig.StreamingChat("model-b"), rig.Chat("model-nobody-serves"), `{"broken`, `{"model":1}`, "",
	} {
		stack.Post("/v1/chat/completions", body)
	}
	stack.Post("/v1/embeddings", rig.Chat("model-a"))
	stack.Post("/elsewhere", rig.Chat("model-a"))
	if response, err := http.Get("http://" + stack.Extproc.Pprof + "/debug/pprof/heap"); err == nil {
		response.Body.Close()
	}
}

func TestMetricsPassPromlint(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	exercise(stack)
	_, text := stack.Extproc.Get("/metrics")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

type family struct {
	kind, help string
	labels     map[string]bool
}

var (
	headPattern   = regexp.MustCompile(`^# (HELP|TYPE) (\S+) (.*)$`)
	samplePattern = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? \S+$`)
	labelPattern  = regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
	suffixPattern = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// families reads /metrics, and fails the test where it is not the text format.
func families(t *testing.T, text string) map[string]*family {
	t.Helper()
	found := map[string]*family{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if head := headPattern.FindStringSubmatch(line); head != nil {
			one := found[head[2]]
			if one == nil {
				one = &family{labels: map[string]bool{}}
				found[head[2]] = one
			}
			if head[1] == "HELP" {
				one.help = head[3]
			} else {
				one.kind = head[3]
			}
			continue
		}
		sample := samplePattern.FindStringSubmatch(line)
		if sample == nil {
			t.Fatalf("no line of the text format: %q", line)
		}
		one := found[sample[1]]
		if one == nil {
			one = found[suffixPattern.ReplaceAllString(sample[1], "")]
		}
		if one == nil {
			t.Fatalf("a sample before its family: %q", line)
		}
		for _, label := range labelPattern.FindAllStringSubmatch(sample[2], -1) {
			if label[1] != "le" {
				one.labels[label[1]] = true
			}
		}
	}
	return found
}

// What the processor says of itself stands in docs/metrics.md, in the same words.
func TestMetricsAreDocumented(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	exercise(stack)
	_, text := stack.Extproc.Get("/metrics")
	bytes, err := os.ReadFile(filepath.Join(rig.Root(), "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(bytes)
	found := families(t, text)
	for name, one := range found {
		if strings.HasPrefix(name, "gen_ai_") {
			if !strings.Contains(page, fmt.Sprintf("| `%s` | %s |", name, one.kind)) {
				t.Errorf("docs/metrics.md has no row for the %s %s", one.kind, name)
			}
			continue
		}
		var labels []string
		for label := range one.labels {
			labels = append(labels, "`"+label+"`")
		}
		slices.Sort(labels)
		row := fmt.Sprintf("| `%s` | %s | %s | %s |", name, one.kind, strings.Join(labels, ", "), strings.TrimSuffix(one.help, "."))
		if !strings.Contains(page, "\n"+row+"\n") {
			t.Errorf("docs/metrics.md lacks this row:\n%s", row)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(page, -1) {
		if found[row[1]] == nil {
			t.Errorf("docs/metrics.md has a row for %s, which the processor does not have", row[1])
		}
	}
}
