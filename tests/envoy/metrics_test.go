// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// sum adds up the samples of a name that have these labels.
func sum(t *testing.T, text, name string, labels ...string) (total float64) {
	t.Helper()
	for line := range strings.Lines(text) {
		sample := samplePattern.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if sample == nil || sample[1] != name {
			continue
		}
		if slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(","+sample[2]+",", ","+label+",") }) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:len(line)-1], 64)
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		total += value
	}
	return total
}

// Every request shows, the refused ones and those that nobody serves too.
func TestMetricsOfGenerativeAI(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for _, body := range []string{rig.Chat("model-a"), rig.Chat("model-a"), rig.StreamingChat("model-b"), rig.Chat("nobody-serves-this"), `{"broken`} {
		stack.Post("/v1/chat/completions", body)
	}
	const duration = "gen_ai_server_request_duration_seconds_count"
	const chat, a, b = `gen_ai_operation_name="chat"`, `gen_ai_original_model="model-a"`, `gen_ai_original_model="model-b"`
	var text string
	rig.Eventually(t, func() string {
		_, text = stack.Extproc.Get("/metrics")
		if got := sum(t, text, duration, chat); got != 5 {
			return fmt.Sprintf("5 requests are counted, not %v", got)
		}
		return ""
	})
	for _, c := range []struct {
		name   string
		want   float64
		labels []string
	}{
		{duration, 2, []string{a}},
		{duration, 1, []string{b}},
		{duration, 1, []string{`gen_ai_original_model="other"`, `error_type="404"`}},
		{duration, 1, []string{`gen_ai_original_model="unknown"`, `error_type="malformed_json"`}},
		{"gen_ai_client_token_usage_count", 2, []string{a, `gen_ai_token_type="input"`}},
		{"gen_ai_client_token_usage_count", 1, []string{b, `gen_ai_token_type="output"`}},
		{"gen_ai_server_time_to_first_token_seconds_count", 1, []string{b}},
		{"gen_ai_server_time_per_output_token_seconds_count", 1, []string{b}},
		{"gen_ai_server_time_to_first_token_seconds_count", 0, []string{a}},
	} {
		if got := sum(t, text, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	tokens := sum(t, text, "gen_ai_client_token_usage_sum")
	if reported := sum(t, text, "extproc_tokens_total", `type="input"`) + sum(t, text, "extproc_tokens_total", `type="output"`) +
		sum(t, text, "extproc_tokens_total", `type="cached_input"`) + sum(t, text, "extproc_tokens_total", `type="reasoning"`); tokens != reported || tokens == 0 {
		t.Errorf("%v tokens, and %v in extproc_tokens_total", tokens, reported)
	}
}

// A client that sprays model names fills neither the memory nor the store of who scrapes.
func TestMetricsAreBounded(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	for i := range 300 {
		stack.Post("/v1/chat/completions", rig.Chat(fmt.Sprintf("sprayed-%d", i)))
	}
	_, text := stack.Extproc.Get("/metrics")
	if strings.Contains(text, "sprayed-") {
		t.Error("a model that nobody serves has a series of its own")
	}
	if got := sum(t, text, "gen_ai_server_request_duration_seconds_count", `gen_ai_original_model="other"`); got != 300 {
		t.Errorf("%v requests are counted as other, want 300", got)
	}
}
