// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// A setting that cannot hold ends the program at the start, with its name: never a port that is more open than asked.
func TestBadSettingsAreRefused(t *testing.T) {
	t.Parallel()
	empty, short := writeFile(t, "empty", "\n"), writeFile(t, "short", "ci:tooshort\n")
	for setting, want := range map[string]string{
		"PPROF_TOKEN_FILE=/nonexistent":    "PPROF_TOKEN_FILE: /nonexistent: No such file",
		"PPROF_TOKEN_FILE=" + empty:        "there is no token in it",
		"PPROF_TOKEN_FILE=" + short:        "line 1: a token has at least 16 characters",
		"PPROF_AUTH_LOOPBACK=true":         "PPROF_TOKEN_FILE names none",
		"PPROF_AUTH_LOOPBACK=yes":          "PPROF_AUTH_LOOPBACK",
		"PPROF_ALLOWED_HOSTS=gateway:6060": "PPROF_ALLOWED_HOSTS",
		"PPROF_PROFILES=-cmdlin":           `PPROF_PROFILES: \"-cmdlin\" is no profile`,
		"PPROF_PROFILES=heap,-cmdline":     "PPROF_PROFILES",
		"PPROF_MAX_SECONDS=0":              "PPROF_MAX_SECONDS",
		"PPROF_TIMED_REQUESTS=49":          "PPROF_TIMED_REQUESTS",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			p := rig.StartExtprocRaw(t, setting)
			code, text := p.ExitCode(), strings.Join(p.Lines(), "\n")
			if code != 2 || !strings.Contains(text, want) || strings.Contains(text, "tooshort") {
				t.Errorf("exit code %d, want 2 and %s in\n%s", code, want, text)
			}
		})
	}
}

// The list of profiles holds for what the program adds, too, and for the index.
func TestProfilesAreLimited(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]map[string]int{
		"-cmdline,-streams": {"cmdline": 404, "streams": 404, "heap": 200, "symbol": 200, "": 200},
		"heap,streams":      {"cmdline": 404, "streams": 200, "heap": 200, "symbol": 404, "profile": 404, "": 200},
	} {
		t.Run(list, func(t *testing.T) {
			t.Parallel()
			e := rig.StartExtproc(t, "PPROF_PROFILES="+list)
			url := "http://" + e.Pprof + "/debug/pprof/"
			_, _, index := ask{url: url}.do(t)
			for name, wantStatus := range want {
				if status, _, body := (ask{url: url + name}).do(t); status != wantStatus {
					t.Errorf("%s: %d %.100s", name, status, body)
				}
				if listed := strings.Contains(string(index), "<a href='"+name+"?debug=1'>"); name != "" &&
					listed != (wantStatus == 200) {
					t.Errorf("%s: in the index: %v", name, listed)
				}
			}
		})
	}
}

func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	e := rig.StartExtproc(t, "PPROF_ALLOWED_HOSTS=gateway.example,other.example")
	for host, want := range map[string]int{"gateway.example": 200, "OTHER.example:6060": 200, "a.gateway.example": 403,
		"evil.example": 403} {
		if status, _, _ := (ask{url: "http://" + e.Pprof + "/debug/pprof/cmdline", host: host}).do(t); status != want {
			t.Errorf("%s: %d, want %d", host, status, want)
		}
	}
}

// mount makes a folder as the kubelet does for a volume: NAME -> ..data/NAME, ..data -> a folder that is swapped.
type mount struct {
	t      *testing.T
	folder string
	count  int
}

func (m *mount) set(name, text string) {
	m.t.Helper()
	m.count++
	version := string(rune('a' + m.count))
	data, next := filepath.Join(m.folder, "..data"), filepath.Join(m.folder, "..data_tmp")
	os.Mkdir(filepath.Join(m.folder, version), 0o755)
	for _, err := range []error{
		os.WriteFile(filepath.Join(m.folder, version, name), []byte(text), 0o600),
		os.Symlink(version, next),
		os.Rename(next, data),
	} {
		if err != nil {
			m.t.Fatal(err)
		}
	}
	os.Symlink(filepath.Join("..data", name), filepath.Join(m.folder, name))
}

// Old, both, new: no request that has a good token fails on the way, and a file that is gone lets nobody in.
func TestTokensRotate(t *testing.T) {
	t.Parallel()
	m := &mount{t: t, folder: t.TempDir()}
	m.set("token", oldToken)
	file := filepath.Join(m.folder, "token")
	e := rig.StartExtproc(t, "PPROF_TOKEN_FILE="+file, "PPROF_AUTH_LOOPBACK=true")
	status := func(token string) int {
		status, _, _ := ask{url: "http://" + e.Pprof + "/debug/pprof/cmdline", headers: bearer(token)}.do(t)
		return status
	}
	check := func(what string, wantOld, wantNew int) {
		t.Helper()
		if gotOld, gotNew := status(oldToken), status(newToken); gotOld != wantOld || gotNew != wantNew {
			t.Errorf("%s: the old token %d, the new %d; want %d, %d", what, gotOld, gotNew, wantOld, wantNew)
		}
	}
	check("at first", 200, 401)
	m.set("token", rotation)
	check("both", 200, 200)
	m.set("token", newToken+"\n")
	check("in the end", 401, 200)
	m.set("token", "")
	check("an empty file", 503, 503)
	os.Remove(file)
	check("no file", 503, 503)
	m.set("token", newToken)
	check("again", 401, 200)
	log := strings.Join(e.Lines(), "\n")
	if strings.Count(log, "pprof lets nobody in who needs a token") != 1 || !strings.Contains(log, "pprof reads its tokens again") {
		t.Errorf("it is logged once that it is shut, and that it is open again:\n%s", log)
	}
}

// The switch opens and closes the port while the program runs; a profile under way is ended and comes whole.
func TestSwitch(t *testing.T) {
	t.Parallel()
	m := &mount{t: t, folder: t.TempDir()}
	m.set("pprof", "off\n")
	e := rig.StartExtprocWithoutPprof(t, "PPROF_SWITCH_FILE="+filepath.Join(m.folder, "pprof"))
	if listening := rig.Listening(t, e.Pid()); len(listening) != 2 {
		t.Errorf("it listens at %v, want gRPC and admin only", listening)
	}
	if up := e.Metric("pprof_up"); up != 0 {
		t.Errorf("pprof_up %v", up)
	}
	m.set("pprof", "on\n")
	e.WaitPprof()
	url := "http://" + e.Pprof + "/debug/pprof/"
	if status, _, _ := (ask{url: url}).do(t); status != 200 || e.Metric("pprof_up") != 1 {
		t.Errorf("open: %d", status)
	}
	got := make(chan int)
	go func() {
		out, err := runPprof(t.Context(), t, "-raw", url+"profile?seconds=300")
		if err != nil || !strings.Contains(out, "PeriodType: cpu nanoseconds") {
			t.Errorf("a profile under way: %v\n%s", err, out)
		}
		got <- 0
	}()
	waitRunning(t, e, 1)
	m.set("pprof", "anything else")
	<-got
	rig.Eventually(t, func() string {
		if _, err := http.Get(url); err == nil {
			return "a closed port"
		}
		return ""
	})
	if len(rig.Listening(t, e.Pid())) != 2 {
		t.Error("it still listens")
	}
}

// DISABLE_PPROF is the floor: no file opens what it shut.
func TestDisabledBeatsTheSwitch(t *testing.T) {
	t.Parallel()
	e := rig.StartExtprocWithoutPprof(t, "DISABLE_PPROF=false", "PPROF_SWITCH_FILE="+writeFile(t, "switch", "on"))
	if listening := rig.Listening(t, e.Pid()); len(listening) != 2 {
		t.Errorf("it listens at %v, want gRPC and admin only", listening)
	}
	if _, text := e.Get("/metrics"); !strings.Contains(text, "pprof_up 0") {
		t.Error("pprof_up is not 0")
	}
}
