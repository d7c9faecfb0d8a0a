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

// Built is where make leaves what the tests start: the file below build/, or below the folder that
// make names in BUILT.
func Built(t testing.TB, path ...string) string {
	t.Helper()
	folder := os.Getenv("BUILT")
	if folder == "" {
		folder = filepath.Join(Root(), "build")
	}
	program := filepath.Join(append([]string{folder}, path...)...)
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v\n`make build test-programs` builds it.", err)
	}
	return program
}

// built is the same for a program that an environment variable may name instead.
func built(t testing.TB, variable, path string) string {
	t.Helper()
	if program := os.Getenv(variable); program != "" {
		return program
	}
	return Built(t, path)
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
