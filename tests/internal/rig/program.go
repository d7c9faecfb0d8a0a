// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Program is a started process whose output lines are kept.
type Program struct {
	t       testing.TB
	name    string
	command *exec.Cmd
	ended   chan struct{}

	mutex sync.Mutex
	lines []string
}

// Start runs a program and arranges that the end of the test kills it. If the test failed by then,
// its output is shown.
func Start(t testing.TB, name, path string, args, environment []string) *Program {
	t.Helper()
	p := &Program{t: t, name: name, command: exec.Command(path, args...), ended: make(chan struct{})}
	p.command.Env = append(ownEnvironment(), environment...)
	if ours := os.Getenv("BUILT"); ours != "" && strings.HasPrefix(path, ours+"/") {
		Emulate(p.command)
	}
	// If this test process is killed, no program of its stays behind.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.command.Stdout, p.command.Stderr = writer, writer
	if err := p.command.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	writer.Close()
	go p.collect(reader)
	t.Cleanup(func() {
		p.Kill()
		for _, line := range p.Lines() {
			if strings.Contains(line, "system call refused") {
				t.Errorf("%s needs what src/sandbox/syscalls.def has not: %s", name, line)
			}
		}
		if t.Failed() {
			t.Logf("the last lines of %s:\n%s", name, strings.Join(last(p.Lines(), 40), "\n"))
		}
	})
	return p
}

func (p *Program) collect(output io.ReadCloser) {
	scanner := bufio.NewScanner(output)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.mutex.Lock()
		p.lines = append(p.lines, scanner.Text())
		p.mutex.Unlock()
	}
	output.Close()
	p.command.Wait()
	close(p.ended)
}

// ownEnvironment is the environment without the settings of the programs under test.
func ownEnvironment() []string {
	var kept []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "EXTPROC_") || strings.HasPrefix(name, "PPROF_") || name == "DISABLE_PPROF" {
			continue
		}
		kept = append(kept, pair)
	}
	return kept
}

func last(lines []string, count int) []string {
	return lines[max(0, len(lines)-count):]
}

// Pid is the process id.
func (p *Program) Pid() int { return p.command.Process.Pid }

// Lines are the lines of output so far.
func (p *Program) Lines() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return append([]string(nil), p.lines...)
}

// Signal sends a signal.
func (p *Program) Signal(signal syscall.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// HasEnded tells whether the process is gone.
func (p *Program) HasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// ExitCode waits for the process to end by itself; -1 means that a signal ended it.
func (p *Program) ExitCode() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.command.ProcessState.ExitCode()
	case <-time.After(Deadline):
		p.t.Fatalf("%s did not end within %v", p.name, Deadline)
		return 0
	}
}

// Kill ends the process at once and waits for it.
func (p *Program) Kill() {
	p.command.Process.Kill()
	<-p.ended
}

// WaitLine waits for a line for which match says yes, and returns it.
func (p *Program) WaitLine(what string, match func(line string) bool) string {
	p.t.Helper()
	var found string
	Eventually(p.t, func() string {
		ended := p.HasEnded()
		for _, line := range p.Lines() {
			if match(line) {
				found = line
				return ""
			}
		}
		if ended {
			p.t.Fatalf("%s ended (%v) before it printed %s", p.name, p.command.ProcessState, what)
		}
		return p.name + " prints " + what
	})
	return found
}
