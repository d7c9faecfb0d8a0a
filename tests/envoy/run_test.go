// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// startRun starts what `make run` starts, on other ports. The script gets the chance to stop what it
// started, whatever becomes of the test.
func startRun(t *testing.T, folder string, settings ...string) *rig.Program {
	t.Helper()
	environment := append(rig.FreePorts(), "PROGRAM="+rig.ExtprocPath(t), "BACKEND="+rig.BackendPath(t),
		"FOLDER="+folder, "TRAFFIC=5")
	script := filepath.Join(rig.Root(), "tests", "run", "run.sh")
	run := rig.Start(t, "run.sh", script, nil, append(environment, settings...))
	t.Cleanup(func() {
		if !run.HasEnded() {
			run.Signal(sigterm)
			run.ExitCode()
		}
	})
	return run
}

// freePort asks the kernel for a port and gives it back: Envoy's port has to be known beforehand.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// children are the processes that a process has started and that still run, as "pid name".
func children(t *testing.T, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, child := range strings.Fields(string(text)) {
		name, err := os.ReadFile("/proc/" + child + "/comm")
		if err == nil {
			found = append(found, child+" "+strings.TrimSpace(string(name)))
		}
	}
	return found
}

// isRunning tells whether a process is there and no zombie that only waits for its parent.
func isRunning(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestRunShowsTheTokensAndLeavesNothing(t *testing.T) {
	port := freePort(t)
	run := startRun(t, t.TempDir(), "ENVOY_PORT="+port)
	for _, model := range []string{"model-a", "model-b"} {
		run.WaitLine("the tokens of a request for "+model, func(line string) bool {
			fields := rig.Fields(line)
			return fields["model"] == model && fields["input"] == "10" && fields["total"] != "-"
		})
	}
	// The commands that it prints do what they say.
	output := strings.Join(run.Lines(), "\n")
	for _, command := range []string{
		"curl http://127.0.0.1:" + port + "/v1/chat/completions", "curl -N http://127.0.0.1:" + port, "go tool pprof -top",
	} {
		if !strings.Contains(output, command) {
			t.Errorf("it does not say to try: %s", command)
		}
	}
	for line := range strings.Lines(output) {
		for _, path := range []string{"/debug/pprof/", "/metrics", "/health"} {
			if _, rest, is := strings.Cut(line, "http://"); is && strings.HasSuffix(strings.TrimSpace(rest), path) {
				url := "http://" + strings.TrimSpace(rest)
				response, err := http.Get(url)
				if err != nil {
					t.Error(err)
					continue
				}
				response.Body.Close()
				if response.StatusCode != 200 {
					t.Errorf("%s: status %d", url, response.StatusCode)
				}
			}
		}
	}
	started := children(t, run.Pid())
	if names := strings.Join(started, " "); strings.Count(names, "backend") != 2 ||
		!strings.Contains(names, "extproc") || !strings.Contains(names, "envoy") {
		t.Fatalf("started: %s", names)
	}
	run.Signal(sigterm)
	if code := run.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, child := range started {
		pid, _, _ := strings.Cut(child, " ")
		if isRunning(pid) {
			t.Errorf("%s still runs", child)
		}
	}
}

func TestRunOfTheProcessorAlone(t *testing.T) {
	run := startRun(t, t.TempDir(), "ENVOY=0")
	line := run.WaitLine("the processor's log", func(line string) bool {
		return strings.Contains(line, "service=admin")
	})
	response, err := http.Get("http://" + rig.Fields(line)["address"] + "/health")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	for _, child := range children(t, run.Pid()) {
		if strings.Contains(child, "envoy") || strings.Contains(child, "backend") {
			t.Errorf("started: %s", child)
		}
	}
}

// A taken port is said with the knob that changes it, before anything is started.
func TestRunOnATakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for knob, value := range map[string]string{
		"ENVOY_PORT": port, "EXTPROC_LISTEN": "127.0.0.1:" + port, "EXTPROC_ADMIN_ADDRESS": ":" + port,
		"PPROF_ADDRESS": "localhost:" + port,
	} {
		t.Run(knob, func(t *testing.T) {
			folder := t.TempDir()
			run := startRun(t, folder, "ENVOY_PORT=0", knob+"="+value)
			if code := run.ExitCode(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			output := strings.Join(run.Lines(), "\n")
			for _, word := range []string{"port " + port + " is taken", knob + "=" + value, "make run " + knob + "="} {
				if !strings.Contains(output, word) {
					t.Errorf("it does not say %q: %s", word, output)
				}
			}
			if files, _ := os.ReadDir(folder); len(files) != 0 {
				t.Errorf("it has already started: %v", files)
			}
		})
	}
}
