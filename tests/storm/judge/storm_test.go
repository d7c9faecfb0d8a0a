// SPDX-License-Identifier: Apache-2.0

// Package storm asks: does the profiler survive the worst moments? The program beside it judges
// itself; here it is only started.
package storm

import (
	"path/filepath"
	"testing"

	"extproc/tests/internal/rig"
)

const ticks = "1000000"

func TestAMillionTicksWhileThreadsStartAndExit(t *testing.T) {
	program := rig.Start(t, "ticks", filepath.Join(rig.Root(), "build", "tests", "storm", "ticks"), []string{ticks}, nil)
	code := program.ExitCode()
	for _, line := range program.Lines() {
		t.Log(line)
	}
	if code != 0 {
		t.Fatalf("exit code %d (-1: a signal; SIGALRM means that it hung)", code)
	}
}
