// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"extproc/tests/internal/load"
	"extproc/tests/internal/rig"

	"github.com/google/pprof/profile"
)

// labelSetsMost is how many sets of labels the profiler tells apart.
const labelSetsMost = 256

// models is how many distinct ones are sent: STORM_MODELS, for a long run.
func models(t *testing.T) int {
	t.Helper()
	text := os.Getenv("STORM_MODELS")
	if text == "" {
		return 100000
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 20000 || count > 1000000 {
		t.Fatalf("STORM_MODELS=%s: must be a number from 20000 to 1000000", text)
	}
	return count
}

// residentKB is what the kernel says the process has in memory.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	number, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// A client chooses the model's name, so a client must not be able to fill a table with names: neither the
// profiler's labels nor the metrics'.
func TestMemoryStaysFlatWhateverModelsAreNamed(t *testing.T) {
	const warm = 10000
	count := models(t)
	extproc := rig.StartExtproc(t, "EXTPROC_WORKERS=1")
	send := func(requests int) {
		t.Helper()
		if _, err := load.Run(load.Options{
			Address: extproc.GRPC, Kind: "1k", Streams: 16, Requests: requests, Models: count, CPU: -1}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) *profile.Profile {
		t.Helper()
		response, err := http.Get("http://" + extproc.Pprof + "/debug/pprof/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := profile.Parse(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}

	// What is read once costs memory once: it is read before as well.
	readAll := func() (lines int) {
		read("heap")
		read("profile?seconds=1")
		_, metrics := extproc.Get("/metrics")
		return strings.Count(metrics, "\n")
	}

	send(warm)
	readAll()
	linesBefore := readAll()
	before := residentKB(t, extproc.Pid())
	cpu := make(chan *profile.Profile, 1)
	go func() { cpu <- read("profile?seconds=1") }()
	send(count)
	sets := map[string]bool{}
	for _, sample := range (<-cpu).Sample {
		if model := sample.Label["model"]; model != nil {
			sets[strings.Join(model, " ")] = true
		}
	}
	lines := readAll()
	after := residentKB(t, extproc.Pid())
	t.Logf("%d models: resident %d kB after %d requests, %d kB after %d more; %d models in a CPU profile, %d lines of metrics",
		count, before, warm, after, count, len(sets), lines)
	if !sets["other"] || len(sets) > labelSetsMost {
		t.Errorf("%d models are told apart, with other: %v", len(sets), sets["other"])
	}
	// Profiles and metrics come and go, and leave the allocator a few MB that differ from run to run. A
	// table with an entry for each model would take 10 MB at least.
	if after-before > 5<<10 {
		t.Errorf("resident memory grew by %d kB", after-before)
	}
	if lines > linesBefore {
		t.Errorf("metrics grew from %d lines to %d", linesBefore, lines)
	}
}
