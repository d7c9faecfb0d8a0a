// SPDX-License-Identifier: Apache-2.0

// The real `go tool pprof`, as people type it. What it prints about ours on standard error must be what it prints
// about Go, but for names and numbers: no warning, no search for binaries.

package contract

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// pprofCommand runs in a folder and a home of its own, so that nothing saved before can help it.
func pprofCommand(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), pprofTool, arguments...)
	cmd.Dir = folder
	cmd.Env = []string{"HOME=" + folder, "PPROF_TMPDIR=" + filepath.Join(folder, "saved"), "PATH=" + os.Getenv("PATH")}
	return cmd
}

func runPprof(t *testing.T, arguments ...string) (stdout, stderr string) {
	t.Helper()
	cmd := pprofCommand(t, arguments...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("pprof %q: %v\n%s", arguments, err, complaints.String())
	}
	return out.String(), complaints.String()
}

// quiet removes from standard error what differs between two good runs.
func quiet(p *program, stderr string) string {
	stderr = strings.ReplaceAll(stderr, p.pprofAddress, "ADDRESS")
	file := regexp.MustCompile(`Saved profile in \S+/pprof\.(` + filepath.Base(p.exe) + `\.)?`)
	stderr = file.ReplaceAllString(stderr, "Saved profile in pprof.")
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(stderr, "ADDRESS")
}

const profileURL = "URL/debug/pprof/profile?seconds=1"

// What is typed against a running program. URL stands for http://HOST:PORT.
var fetchRows = []struct {
	name      string
	arguments []string
	want      string // regular expression that standard output must contain
}{
	{"top", []string{"-top", profileURL}, `(?s)File: EXE\nBuild ID: [0-9a-f]+\n.*Type: cpu\n.*flat  flat%   sum%`},
	{"traces", []string{"-traces", profileURL}, `Type: cpu`},
	{"raw", []string{"-raw", profileURL},
		`(?m)^PeriodType: cpu nanoseconds\nPeriod: 10000000\nTime: .*\nDuration: (1|9\d\d)`},
	{"seconds and a host", []string{"-seconds=1", "-top", "URL"}, `Duration: (1|9\d\d)`},
	{"seconds and a host without scheme", []string{"-seconds=1", "-top", "HOST"}, `Duration: (1|9\d\d)`},
	{"remote symbols", []string{"-symbolize=remote", "-top", profileURL}, `Type: cpu`},
}

func TestToolFetches(t *testing.T) {
	t.Parallel()
	for _, r := range fetchRows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			var complaints []string
			for _, p := range pair(both(t)) {
				fill := strings.NewReplacer("URL", "http://"+p.pprofAddress, "HOST", p.pprofAddress)
				var arguments []string
				for _, argument := range r.arguments {
					arguments = append(arguments, fill.Replace(argument))
				}
				out, stderr := runPprof(t, arguments...)
				out = strings.ReplaceAll(out, filepath.Base(p.exe), "EXE")
				if !regexp.MustCompile(r.want).MatchString(out) {
					t.Errorf("%s: want %s in\n%.3000s", p.name, r.want, out)
				}
				complaints = append(complaints, quiet(p, stderr))
			}
			if complaints[0] != complaints[1] {
				t.Errorf("standard error\n  ours: %s\n  go:   %s", complaints[0], complaints[1])
			}
		})
	}
}

// Two sources at once: ours has several windows, Go would refuse the second.
func TestToolSubtracts(t *testing.T) {
	t.Parallel()
	url := "http://" + startOurs(t).pprofAddress + "/debug/pprof/profile?seconds=1"
	if out, _ := runPprof(t, "-diff_base", url, "-top", url); !strings.Contains(out, "Type: cpu") {
		t.Errorf("%s", out)
	}
}

// Reports made from one profile that surely has samples.
var reportRows = []struct {
	name      string
	arguments []string
	want      string // regular expression for both programs' reports; empty: not asked of Go's
	wantOurs  string
}{
	{"top", []string{"-top"}, `(?m)s +[\d.]+% +[\w.]+`, ``},
	{"top of lines", []string{"-lines", "-top"}, `(?m)\.(c|go|s):\d+$`, `(?m) \w+ src/\S+\.c:\d+`},
	{"traces", []string{"-traces"}, `-----------\+---`, `(?m)^ +(_start|__clone)$`},
	{"traces of lines", []string{"-lines", "-traces"}, `\(inline\)`, `(?m)^ +\w+ src/\S+\.c:\d+`},
	{"raw", []string{"-raw"}, `(?m)^Mappings\n1: 0x\w+/0x\w+/0x\w+ \S+/EXE [0-9a-f]+ \[FN\]$`, `thread:\[`},
	{"tags", []string{"-tags"}, ``, `thread: Total `},
	{"comments", []string{"-comments"}, ``, `(?m)^program: version=\S+ build_id=[0-9a-f]+$`},
	{"focus on a tag", []string{"-tagfocus", "thread=.", "-top"}, ``, `(?m)s +[\d.]+% +\w+`},
	{"tree", []string{"-tree"}, `(?m)s +[\d.]+% +\| `, ``},
	{"peek", []string{"-peek", "."}, `calls%`, ``},
	{"dot", []string{"-dot"}, `^digraph "EXE"`, ``},
	{"callgrind", []string{"-callgrind"}, `events: cpu`, `fl=\(\d+\) \S+\.c`},
	{"again without names", []string{"-symbolize=none", "-top"}, `(?m)s +[\d.]+% +[\w.]+`, ``},
}

func toolReports(t *testing.T, p *program, file string) {
	for _, r := range reportRows {
		if r.want == "" && p.name == "go" {
			continue
		}
		out, complaints := runPprof(t, append(r.arguments, file)...)
		out = strings.ReplaceAll(out, filepath.Base(p.exe), "EXE")
		wanted := []string{r.want}
		if p.name == "ours" {
			wanted = append(wanted, r.wantOurs)
		}
		for _, want := range wanted {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s: want %s in\n%.3000s", r.name, want, out)
			}
		}
		if complaints != "" {
			t.Errorf("%s: complains: %s", r.name, complaints)
		}
	}
}

// The tool reads what it fetched and writes it again as it was.
func TestToolProto(t *testing.T) {
	t.Parallel()
	for _, p := range pair(both(t)) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "taken.pb.gz")
			runPprof(t, "-proto", "-output", file, "http://"+p.pprofAddress+"/debug/pprof/profile?seconds=1")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := profile.ParseData(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.CheckValid(); err != nil || got.Mapping[0].BuildID != buildID(t, p.exe) {
				t.Errorf("%v\n%v", err, got)
			}
		})
	}
}

// toolListsSource: -list finds the source of a function of ours by the file name in the profile.
func toolListsSource(t *testing.T, got taken, file string) {
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range got.Location {
		line := l.Line[0]
		if !strings.HasPrefix(line.Function.Filename, "src/") {
			continue
		}
		source, err := os.ReadFile(filepath.Join(repository, line.Function.Filename))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(string(source), "\n")[line.Line-1]
		out, _ := runPprof(t, "-source_path", repository, "-list", "^"+line.Function.Name+"$", file)
		if !strings.Contains(out, "ROUTINE ======================== "+line.Function.Name+" in ") ||
			!strings.Contains(out, want) {
			t.Errorf("want line %d of %s, %q, in\n%.3000s", line.Line, line.Function.Filename, want, out)
		}
		return
	}
	t.Fatal("no function of src/ in the profile")
}

// toolWebPages looks for names, files and lines in the web interface.
func toolWebPages(t *testing.T, file string) {
	url := serveWeb(t, file)
	for page, pattern := range map[string]string{
		"/ui/flamegraph":  `"FullName":"(uv_run|net/http)[^}]*"FileName":"[^"]+\.(c|go)"`,
		"/ui/top?g=lines": `"Name":"[\w./]+ [^"]+\.(c|go|s):\d+"`,
		"/ui/peek?f=.":    `(uv_run|net/http)`,
	} {
		if text := fetch(t, url+page); !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("%s: want %s in %d bytes", page, pattern, len(text))
		}
	}
}

// serveWeb starts the tool's web interface; its only words are where it is.
func serveWeb(t *testing.T, source string) (url string) {
	t.Helper()
	cmd := pprofCommand(t, "-no_browser", "-http=127.0.0.1:", source)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(stderr).ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), "Serving web UI on ")
	if !found {
		t.Fatalf("%q, %v", line, err)
	}
	return url
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	for deadline := time.Now().Add(hangs); errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond) // the tool says where it is before it listens
		answer, err = http.Get(url)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%s: %s, %v\n%.500s", url, answer.Status, err, text)
	}
	return string(text)
}
