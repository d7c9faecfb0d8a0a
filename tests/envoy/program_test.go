// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

func TestHelpNamesEverySetting(t *testing.T) {
	var complaint strings.Builder
	help := exec.Command(rig.ExtprocPath(t), "--help")
	help.Stderr = &complaint
	out, err := help.Output()
	if err != nil || complaint.String() != "" {
		t.Fatalf("%v, standard error: %q", err, complaint.String())
	}
	for _, name := range []string{
		"--listen", "EXTPROC_LISTEN", "--admin-address", "EXTPROC_ADMIN_ADDRESS",
		"--pprof-address", "PPROF_ADDRESS", "--workers", "EXTPROC_WORKERS", "--log-level",
		"--log-format", "--body-limit", "EXTPROC_BODY_LIMIT", "--drain-delay",
		"EXTPROC_DRAIN_DELAY", "--drain-deadline", "EXTPROC_DRAIN_DEADLINE", "PPROF_CPU_WINDOWS",
		"DISABLE_PPROF", ":1063", ":1064", "localhost:6060",
	} {
		if !strings.Contains(string(out), name) {
			t.Errorf("--help does not name %s", name)
		}
	}
}

func TestBadSettingIsRefusedAtStart(t *testing.T) {
	cases := []struct {
		args, environment []string
		code              int
		says              []string
	}{
		{[]string{"--workers=-1"}, nil, 2, []string{"--workers", "-1", "0", "256"}},
		{[]string{"--workers", "1000"}, nil, 2, []string{"--workers", "1000", "256"}},
		{nil, []string{"EXTPROC_WORKERS=many"}, 2, []string{"EXTPROC_WORKERS", "many"}},
		{nil, []string{"EXTPROC_BODY_LIMIT=5Xi"}, 2, []string{"EXTPROC_BODY_LIMIT", "5Xi"}},
		{nil, []string{"EXTPROC_DRAIN_DELAY=5"}, 2, []string{"EXTPROC_DRAIN_DELAY", "5"}},
		{[]string{"--log-level=loud"}, nil, 2, []string{"--log-level", "loud", "debug", "error"}},
		{nil, []string{"EXTPROC_LOG_FORMAT=xml"}, 2, []string{"EXTPROC_LOG_FORMAT", "xml", "json"}},
		{nil, []string{"PPROF_CPU_WINDOWS=0"}, 2, []string{"PPROF_CPU_WINDOWS", "0", "1"}},
		{[]string{"--no-such-flag"}, nil, 2, []string{"--no-such-flag"}},
		{[]string{"stray"}, nil, 2, []string{"stray"}},
		{nil, []string{"EXTPROC_SANDBOX=maybe"}, 2, []string{"EXTPROC_SANDBOX", "maybe", "on", "required"}},
		{nil, []string{"EXTPROC_LISTEN=nonsense"}, 2, []string{"--listen", "nonsense"}},
		{nil, []string{"EXTPROC_LISTEN=127.0.0.1:70000"}, 2, []string{"--listen", "70000", "65535"}},
		{nil, []string{"EXTPROC_ADMIN_ADDRESS=127.0.0.1"}, 2, []string{"--admin-address", "127.0.0.1"}},
		{nil, []string{"PPROF_ADDRESS=nonsense"}, 2, []string{"PPROF_ADDRESS", "nonsense"}},
	}
	for _, c := range cases {
		t.Run(strings.Join(append(c.args, c.environment...), " "), func(t *testing.T) {
			program := rig.Start(t, "extproc", rig.ExtprocPath(t), c.args, append(rig.FreePorts(), c.environment...))
			if code := program.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			lines := program.Lines()
			said := lines[max(0, len(lines)-1):]
			for _, word := range c.says {
				if !strings.Contains(strings.Join(said, ""), word) {
					t.Errorf("the last line does not name %q: %q", word, said)
				}
			}
		})
	}
}

// An address that another program has is said by name; for pprof it is no reason to stop.
func TestTakenAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for setting, flag := range map[string]string{"EXTPROC_LISTEN": "--listen", "EXTPROC_ADMIN_ADDRESS": "--admin-address"} {
		t.Run(setting, func(t *testing.T) {
			program := rig.StartExtprocRaw(t, setting+"="+address)
			if code := program.ExitCode(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			output := strings.Join(program.Lines(), "\n")
			if !strings.Contains(output, address) || !strings.Contains(output, flag) {
				t.Errorf("the output names not both %s and %s: %s", flag, address, output)
			}
		})
	}
	t.Run("PPROF_ADDRESS", func(t *testing.T) {
		stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"PPROF_ADDRESS=" + address}, NoPprof: true})
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			t.Errorf("status %d: the processor does not do its work", reply.Status)
		}
		stack.Extproc.WaitLine("an error that names the address", func(line string) bool {
			return rig.Fields(line)["level"] == "error" && strings.Contains(line, address)
		})
		if _, metrics := stack.Extproc.Get("/metrics"); !strings.Contains(metrics, "\npprof_up 0\n") {
			t.Error("/metrics has no pprof_up 0")
		}
	})
}

func TestLogLines(t *testing.T) {
	logfmt := regexp.MustCompile(`^time=\S+ level=(debug|info|warn|error) msg=("([^"\\]|\\.)*"|[^\s"]+)( [a-z_]+=("([^"\\]|\\.)*"|[^\s"]*))*$`)
	exercise := func(settings ...string) []string {
		stack := rig.StartStack(t, rig.StackOptions{Settings: settings})
		for _, body := range []string{rig.Chat("secret-model"), `{"secret-body`, `{"model":"secret\u0001"}`} {
			stack.Post("/v1/chat/completions", body, "authorization", "Bearer secret-token")
		}
		stack.Extproc.Signal(sigterm)
		if code := stack.Extproc.ExitCode(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		lines := stack.Extproc.Lines()
		if len(lines) < 4 {
			t.Errorf("only %d lines: %q", len(lines), lines)
		}
		for _, line := range lines {
			if strings.Contains(line, "secret") {
				t.Errorf("a line holds a piece of a request: %s", line)
			}
		}
		return lines
	}
	t.Run("logfmt", func(t *testing.T) {
		for _, line := range exercise("EXTPROC_LOG_LEVEL=debug") {
			if !logfmt.MatchString(line) {
				t.Errorf("no logfmt: %q", line)
			}
			if _, err := time.Parse(time.RFC3339Nano, rig.Fields(line)["time"]); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("json", func(t *testing.T) {
		program := rig.StartExtprocRaw(t, "EXTPROC_LOG_FORMAT=json", "EXTPROC_LOG_LEVEL=debug")
		program.WaitLine("that it listens", func(line string) bool {
			return strings.Contains(line, `"service":"admin"`)
		})
		program.Signal(sigterm)
		program.ExitCode()
		for _, line := range program.Lines() {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Errorf("%v: %q", err, line)
			}
			for _, name := range []string{"time", "level", "msg"} {
				if text, is := fields[name].(string); !is || text == "" {
					t.Errorf("no %s in %s", name, line)
				}
			}
		}
	})
}

// Without pprof nothing of it is there: no socket, no thread, no timer. Any value counts, also none.
func TestDisabledPprofIsAbsent(t *testing.T) {
	with := rig.StartExtproc(t, "EXTPROC_WORKERS=2")
	if !slices.Contains(rig.Listening(t, with.Pid()), with.Pprof) {
		t.Fatalf("with pprof: listening on %v, not on %s", rig.Listening(t, with.Pid()), with.Pprof)
	}
	for _, value := range []string{"", "1", "false", "0"} {
		t.Run("DISABLE_PPROF="+value, func(t *testing.T) {
			stack := rig.StartStack(t, rig.StackOptions{
				Settings: []string{"EXTPROC_WORKERS=2", "DISABLE_PPROF=" + value}, NoPprof: true,
			})
			without := stack.Extproc
			want := []string{without.GRPC, without.Admin}
			slices.Sort(want)
			if got := rig.Listening(t, without.Pid()); !slices.Equal(got, want) {
				t.Errorf("listening on %v, want only %v", got, want)
			}
			if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
				t.Errorf("status %d", reply.Status)
			}
			if timers := without.Timers(); timers != "" {
				t.Errorf("/proc/PID/timers: %s", timers)
			}
			var lines []string
			for _, line := range without.Lines() {
				if strings.Contains(strings.ToLower(line), "pprof") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 {
				t.Errorf("%d lines about pprof, want one: %q", len(lines), lines)
			}
			// The threads of the processor alone: the other has those and pprof's. Polled: one that
			// answered an admin request may not have ended yet.
			rig.Eventually(t, func() string {
				more, less := difference(with.ThreadNames(), without.ThreadNames())
				if len(less) != 0 || len(more) == 0 {
					return fmt.Sprintf("fewer threads than with pprof; it has %q more and lacks %q", less, more)
				}
				return ""
			})
		})
	}
	t.Run("while a profile is taken there is a timer", func(t *testing.T) {
		// So that the test above would see one.
		go http.Get("http://" + with.Pprof + "/debug/pprof/profile?seconds=2")
		rig.Eventually(t, func() string {
			if with.Timers() == "" {
				return "a timer in /proc/PID/timers"
			}
			return ""
		})
	})
}

// difference returns what a has more than b, and b more than a, counting repeated names.
func difference(a, b []string) (more, less []string) {
	left := slices.Clone(b)
	for _, name := range a {
		if i := slices.Index(left, name); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		more = append(more, name)
	}
	return more, left
}

// The bare program serves its profile to this machine only.
func TestPprofAddresses(t *testing.T) {
	ipv6 := false
	if probe, err := net.Listen("tcp", "[::1]:0"); err == nil {
		ipv6 = true
		probe.Close()
	}
	for _, c := range []struct {
		setting    string
		want, none []string
	}{
		{"localhost:0", []string{"127.0.0.1"}, []string{"0.0.0.0", "::"}},
		{"127.0.0.1:0", []string{"127.0.0.1"}, []string{"::1", "0.0.0.0", "::"}},
		{"[::1]:0", nil, []string{"127.0.0.1", "0.0.0.0", "::"}},
		{":0", nil, []string{"127.0.0.1", "::1"}},
	} {
		t.Run(c.setting, func(t *testing.T) {
			if c.setting == "[::1]:0" && !ipv6 {
				t.Skip("this machine has no ::1")
			}
			extproc := rig.StartExtproc(t, "PPROF_ADDRESS="+c.setting)
			var hosts []string
			for _, address := range rig.Listening(t, extproc.Pid()) {
				if host, _, _ := net.SplitHostPort(address); address != extproc.GRPC && address != extproc.Admin {
					hosts = append(hosts, host)
				}
			}
			want := c.want
			if ipv6 && c.setting == "localhost:0" {
				want = append(want, "::1")
			}
			if c.setting == "[::1]:0" {
				want = []string{"::1"}
			}
			for _, host := range want {
				if !slices.Contains(hosts, host) {
					t.Errorf("bound to %v, not to %s", hosts, host)
				}
			}
			for _, host := range c.none {
				if slices.Contains(hosts, host) {
					t.Errorf("bound to %v, also to %s", hosts, host)
				}
			}
			if len(hosts) == 0 {
				t.Error("bound to nothing")
			}
		})
	}
}
