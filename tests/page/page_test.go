// SPDX-License-Identifier: Apache-2.0

// Package page tests the page at /debug/pprof/: what it is made of by node, and the whole in a real
// Chromium against the built program under load. The checks themselves are in JavaScript (unit/,
// browser.mjs); each is a subtest here.
package page

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"extproc/tests/internal/load"
	"extproc/tests/internal/rig"
)

var outcome = regexp.MustCompile(`^(ok|not ok) \d+ - (.*)$`)

// runTAP runs a program that prints TAP, and makes a subtest of each of its tests.
func runTAP(t *testing.T, command *exec.Cmd) {
	t.Helper()
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	report := func(verdict []string, details string) {
		if verdict == nil {
			return
		}
		seen++
		t.Run(strings.ReplaceAll(verdict[2], "/", "|"), func(t *testing.T) {
			if verdict[1] != "ok" {
				t.Error(details)
			}
		})
	}
	var last []string
	var details strings.Builder
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if next := outcome.FindStringSubmatch(line); next != nil {
			report(last, details.String())
			last = next
			details.Reset()
			continue
		}
		if strings.HasPrefix(line, "# ") && strings.Contains(line, "bytes") || strings.Contains(line, " ms: ") {
			t.Log(line)
		}
		details.WriteString(line + "\n")
	}
	report(last, details.String())
	if err := command.Wait(); err != nil && !t.Failed() || seen == 0 {
		t.Errorf("%v after %d tests", err, seen)
	}
}

func TestUnits(t *testing.T) {
	files, err := filepath.Glob("unit/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests", err)
	}
	runTAP(t, exec.Command("node", append([]string{"--test", "--test-reporter=tap"}, files...)...))
}

// Small requests carry labels, large ones make the hot function hot; between the bursts the machine
// gets to do something else.
func putUnderLoad(t *testing.T, address string) {
	done := make(chan struct{})
	ended := make(chan error)
	go func() {
		for {
			for kind, requests := range map[string]int{"1k": 200, "1m": 8} {
				_, err := load.Run(load.Options{Address: address, Kind: kind, Streams: 4, Requests: requests, CPU: -1})
				if err != nil {
					ended <- err
					return
				}
			}
			select {
			case <-done:
				ended <- nil
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		if err := <-ended; err != nil {
			t.Errorf("load: %v", err)
		}
	})
}

func TestBrowser(t *testing.T) {
	extproc := rig.StartExtproc(t, "PPROF_CPU_WINDOWS=1")
	putUnderLoad(t, extproc.GRPC)
	built := os.Getenv("BUILT")
	if built == "" {
		built = filepath.Join(rig.Root(), "build")
	}
	command := exec.Command("./browse.sh", "http://"+extproc.Pprof+"/debug/pprof/", filepath.Join(built, "page"))
	command.Env = append(os.Environ(), "WINDOWS=1")
	runTAP(t, command)
}
