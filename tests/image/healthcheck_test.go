// SPDX-License-Identifier: Apache-2.0

package image

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"extproc/tests/internal/rig"
)

// check runs `extproc healthcheck ARGUMENTS`.
func check(t *testing.T, environment []string, arguments ...string) (output string, code int) {
	t.Helper()
	command := exec.Command(rig.ExtprocPath(t), append([]string{"healthcheck"}, arguments...)...)
	command.Env = environment
	text, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), command.ProcessState.ExitCode()
}

func TestHealthcheckFindsTheRunningProgram(t *testing.T) {
	e := rig.StartExtproc(t)
	port := e.Admin[strings.LastIndex(e.Admin, ":"):]
	for name, way := range map[string]struct{ environment, arguments []string }{
		"by an argument":          {nil, []string{e.Admin}},
		"by a port on loopback":   {nil, []string{port}},
		"by the server's setting": {[]string{"EXTPROC_ADMIN_ADDRESS=" + e.Admin}, nil},
		"by the server's flag":    {nil, []string{"--admin-address", e.Admin}},
		"the first of a list":     {[]string{"EXTPROC_ADMIN_ADDRESS=" + e.Admin + ", 127.0.0.1:1"}, nil},
		"argument before setting": {[]string{"EXTPROC_ADMIN_ADDRESS=127.0.0.1:1"}, []string{e.Admin}},
	} {
		output, code := check(t, way.environment, way.arguments...)
		if code != 0 || !strings.HasPrefix(output, "healthy: ") || strings.Count(output, "\n") != 1 {
			t.Errorf("%s: code %d: %s", name, code, output)
		}
	}
}

func TestHealthcheckFailsForAProgramThatDrains(t *testing.T) {
	e := rig.StartExtproc(t, "EXTPROC_DRAIN_DELAY=60m")
	e.Signal(syscall.SIGTERM)
	e.WaitLine("that it drains", func(line string) bool { return strings.Contains(line, "drain: ") })
	output, code := check(t, nil, e.Admin)
	if code != 1 || !strings.HasPrefix(output, "unhealthy: ") || !strings.Contains(output, "draining") {
		t.Errorf("code %d: %s", code, output)
	}
}

// The processor's own system calls are filtered, so this shows that it may make a socket's file.
func TestHealthcheckAtAUnixSocket(t *testing.T) {
	folder, err := os.MkdirTemp("", "x") // a short one: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	setting := "EXTPROC_ADMIN_ADDRESS=unix://" + folder + "/admin.sock?mode=0600"
	program := rig.StartExtprocRaw(t, setting)
	program.WaitLine("that it listens", func(line string) bool { return strings.Contains(line, "service=admin") })
	if output, code := check(t, []string{setting}); code != 0 || !strings.HasPrefix(output, "healthy: unix://") {
		t.Errorf("code %d: %s", code, output)
	}
	program.Signal(syscall.SIGTERM)
	program.ExitCode()
	if output, code := check(t, []string{setting}); code != 1 || !strings.Contains(output, "admin.sock") {
		t.Errorf("of one that is gone: code %d: %s", code, output)
	}
}

func TestHealthcheckSaysThatThereIsNoAdminAddress(t *testing.T) {
	output, code := check(t, []string{"EXTPROC_ADMIN_ADDRESS="})
	if code != 1 || !strings.Contains(output, "no admin address") || !strings.Contains(output, "healthcheck grpc://") {
		t.Errorf("code %d: %s", code, output)
	}
}

func TestHealthcheckFailsWhenNobodyListens(t *testing.T) {
	output, code := check(t, nil, "127.0.0.1:1")
	if code != 1 || !strings.HasPrefix(output, "unhealthy: 127.0.0.1:1: ") {
		t.Errorf("code %d: %s", code, output)
	}
}
