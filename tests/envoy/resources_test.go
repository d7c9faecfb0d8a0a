// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// chartsMemory is what the chart asks for and allows, of `requests` and `limits`, in bytes.
func chartsMemory(t *testing.T, which string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root(), "charts", "envoy-ai-gateway", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, resources, _ := strings.Cut(string(text), "\n  resources:\n")
	_, resources, _ = strings.Cut(resources, "    "+which+":\n")
	found := regexp.MustCompile(`memory: (\d+)Mi\n`).FindStringSubmatch(resources)
	if found == nil {
		t.Fatalf("values.yaml has no memory among the %s", which)
	}
	mebibytes, _ := strconv.Atoi(found[1])
	return mebibytes << 20
}

// peak is the most that a control group has used.
func peak(t *testing.T, usageFile string) int {
	t.Helper()
	for _, name := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(usageFile), name))
		if err == nil {
			bytes, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			return bytes
		}
	}
	t.Skip("the kernel does not say what a control group used at most")
	return 0
}

// What the chart asks for is enough for small requests, many at once; what it allows is not reached by
// large ones: past the limit of bodies they get 503. docs/operations.md has the numbers.
func TestTheChartsResourcesAreEnough(t *testing.T) {
	requested, allowed := chartsMemory(t, "requests"), chartsMemory(t, "limits")
	group, usage := rig.MemoryGroup(t, allowed)
	stack := rig.StartStack(t, rig.StackOptions{Group: group})
	atStart := peak(t, usage)

	padded := `{"model":"model-a","messages":[{"role":"user","content":"` + strings.Repeat("x", 940) + `"}]}`
	counts := flood(t, stack, 128, 20, padded)
	for status, count := range flood(t, stack, 128, 5, rig.StreamingChat("model-b")) {
		counts[status] += count
	}
	small := peak(t, usage)
	if small > requested || counts[200] != 128*25 {
		t.Errorf("small requests: %v, %d bytes at most; the chart asks for %d", counts, small, requested)
	}

	// Streaming requests that do not ask for their usage: each is changed, so that it is there twice.
	body := `{"model":"model-a","stream":true,"messages":[{"role":"user","content":"` + strings.Repeat("x", 20<<20) + `"}]}`
	large := flood(t, stack, 16, 2, body)
	most := peak(t, usage)
	t.Logf("at most, in MiB: %.1f at the start, %.1f after %d requests of 1 KB, 128 at once, %.0f after %d of 20 MiB, 16 at once (%v); the chart asks for %d and allows %d",
		mib(atStart), mib(small), 128*25, mib(most), 32, large, requested>>20, allowed>>20)
	if most > allowed*9/10 || stack.Extproc.HasEnded() {
		t.Errorf("large bodies: %d bytes at most; the chart allows %d", most, allowed)
	}
	if large[200] == 0 {
		t.Error("no large body was let through")
	}
	if fails, _ := os.ReadFile(filepath.Join(group, "memory.failcnt")); len(fails) > 0 && strings.TrimSpace(string(fails)) != "0" {
		t.Errorf("the limit was reached %s times", strings.TrimSpace(string(fails)))
	}
	if reply := stack.Post("/v1/chat/completions", padded); reply.Status != 200 {
		t.Errorf("status %d afterwards", reply.Status)
	}
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }
