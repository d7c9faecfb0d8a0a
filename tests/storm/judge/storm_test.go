// SPDX-License-Identifier: Apache-2.0

// Package storm asks: does the profiler survive the worst moments? The program beside it judges
// itself; here it is only started.
package storm

import (
	"testing"

	"extproc/tests/internal/rig"
)

func run(t *testing.T, name, argument string, environment ...string) {
	t.Helper()
	program := rig.Start(t, name, rig.Built(t, "tests", "storm", name), []string{argument}, environment)
	code := program.ExitCode()
	for _, line := range program.Lines() {
		t.Log(line)
	}
	if code != 0 {
		t.Fatalf("exit code %d (-1: a signal; SIGALRM means that it hung)", code)
	}
}

func TestAMillionTicksWhileThreadsStartAndExit(t *testing.T) { run(t, "ticks", "1000000") }

func TestEveryProfileIsReadWhileThreadsStartAndExit(t *testing.T) {
	run(t, "reads", "200", "PPROF_HEAP_RATE=4096")
}
