// SPDX-License-Identifier: Apache-2.0

// Package rig starts the programs that the end-to-end tests are about, on ports that the kernel
// chooses, waits until they serve, and stops them at the end of the test. Nothing is skipped when
// a program is missing: the test fails and says what to do.
package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Deadline bounds every wait for something that ought to happen at once. It is no measure of speed:
// a machine may be slow, a test that waits this long has failed.
const Deadline = 120 * time.Second

// Eventually polls until check says "", and fails with what it said last when Deadline is over.
func Eventually(t testing.TB, check func() string) {
	t.Helper()
	end := time.Now().Add(Deadline)
	for {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Deadline, missing)
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// Root is the top folder of the project.
var Root = sync.OnceValue(func() string {
	folder, err := os.Getwd()
	for err == nil && folder != "/" {
		if _, missing := os.Stat(filepath.Join(folder, "image", "dependencies.lock")); missing == nil {
			return folder
		}
		folder = filepath.Dir(folder)
	}
	panic("rig: not called from inside the project")
})

// built finds a program that `make` leaves under build/, or the one that an environment variable
// names instead.
func built(t testing.TB, variable, path string) string {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		program = filepath.Join(Root(), path)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v\nBuild it with `make build`, or name another one in %s.", err, variable)
	}
	return program
}

// envoyProgram fetches Envoy once for all tests of a package.
var envoyProgram = sync.OnceValues(func() (string, error) {
	fetch := exec.Command(filepath.Join(Root(), "tests", "run", "fetch-envoy.sh"))
	var complaint strings.Builder
	fetch.Stderr = &complaint
	out, err := fetch.Output()
	if err != nil {
		return complaint.String(), err
	}
	return strings.TrimSpace(string(out)), nil
})
