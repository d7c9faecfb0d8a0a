// SPDX-License-Identifier: Apache-2.0

// What is inside a CPU profile: the same questions to both programs' profiles, then those that only ours has to
// answer. Whether the shares in it are true is the question of ../truth.

package contract

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"extproc/tests/internal/rig"
)

// taken is a profile and what the test knows about how it was taken.
type taken struct {
	*profile.Profile
	answer         *answer
	program        *program
	asked, arrived time.Time
	cpu            time.Duration // that the program used meanwhile
	mappings       []mapping
	threads        []string // names while it was taken
}

// takeProfile takes one under load, in a window that ends once the program has used so much CPU: so that there are
// samples, however busy the machine is.
func takeProfile(t *testing.T, p *program, request string, cpu time.Duration) taken {
	t.Helper()
	defer load(t, p)()
	c := dial(t, p.pprofAddress)
	result := taken{program: p, asked: time.Now()}
	c.send(request)
	result.threads = threadNames(t, p)
	result.cpu = p.useCPU(t, cpu)
	result.answer = c.halfClose().read("GET")
	result.arrived = time.Now()
	result.threads = append(result.threads, threadNames(t, p)...)
	result.Profile = parse(t, result.answer)
	result.mappings = p.mappings(t)
	return result
}

// useCPU waits until the program has used so much more CPU, and gives how much it was.
func (p *program) useCPU(t *testing.T, least time.Duration) (used time.Duration) {
	t.Helper()
	before := p.cpuTime(t)
	for start := time.Now(); used < least; used = p.cpuTime(t) - before {
		if time.Since(start) > hangs/2 {
			t.Fatalf("%s used only %v of CPU", p.name, used)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return used
}

// cpuTime is what all threads of the program have used.
func (p *program) cpuTime(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] { // utime, stime in hundredths
		count, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += count
	}
	return time.Duration(ticks) * time.Second / 100
}

func threadNames(t *testing.T, p *program) (names []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name, err := os.ReadFile(file); err == nil {
			names = append(names, strings.TrimSuffix(string(name), "\n"))
		}
	}
	return names
}

// few is a test that stops complaining: one mistake can show in a thousand samples.
type few struct {
	*testing.T
	count int
}

func (t *few) Errorf(format string, arguments ...any) {
	t.Helper()
	if t.count++; t.count <= 5 {
		t.T.Errorf(format, arguments...)
	} else {
		t.Fail()
	}
}

// What Go's profiles are, and ours must be.
var profileRules = []struct {
	name  string
	check func(t *few, p taken)
}{
	{"is valid", func(t *few, p taken) {
		if err := p.CheckValid(); err != nil {
			t.Error(err)
		}
	}},
	{"has Go's types and period", func(t *few, p taken) {
		got := typesOf(p.Profile)
		if want := `samples/count cpu/nanoseconds | cpu/nanoseconds 10000000 | default ""`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}},
	{"drops no frames", func(t *few, p taken) {
		if p.DropFrames != "" || p.KeepFrames != "" {
			t.Errorf("drop %q keep %q", p.DropFrames, p.KeepFrames)
		}
	}},
	{"starts after it was asked for and ends before it came", func(t *few, p taken) {
		start, length := time.Unix(0, p.TimeNanos), time.Duration(p.DurationNanos)
		if start.Before(p.asked.Round(0)) || length <= 0 || start.Add(length).After(p.arrived.Round(0)) {
			t.Errorf("asked %v, start %v, length %v, arrived %v", p.asked, start, length, p.arrived)
		}
	}},
	{"has time as samples times period", func(t *few, p taken) {
		for _, s := range p.Sample {
			if s.Value[0] <= 0 || s.Value[1] != s.Value[0]*p.Period {
				t.Errorf("values %d", s.Value)
			}
		}
	}},
	{"saw about the CPU time that was used", func(t *few, p taken) { // ../truth asks how exactly
		total := time.Duration(0)
		for _, s := range p.Sample {
			total += time.Duration(s.Value[1])
		}
		if total < p.cpu/2 || total > p.cpu*2 {
			t.Errorf("%v, used %v", total, p.cpu)
		}
	}},
	{"merges equal stacks", func(t *few, p taken) {
		seen := map[string]bool{}
		for _, s := range p.Sample {
			key := fmt.Sprint(s.Label)
			for _, l := range s.Location {
				key += fmt.Sprintf(" %d", l.ID)
			}
			if seen[key] {
				t.Errorf("twice: %s", key)
			}
			seen[key] = true
		}
	}},
	{"has the program as mapping 1, with its build id", func(t *few, p taken) {
		m := p.Mapping[0]
		if m.File != p.program.exe || m.BuildID != buildID(t, p.program.exe) {
			t.Errorf("file %q build id %q, want %q %q", m.File, m.BuildID, p.program.exe, buildID(t, p.program.exe))
		}
	}},
	{"has the mappings of /proc/PID/maps", func(t *few, p taken) {
		rig.SkipEmulated(t, "maps the program in a way of its own")
		for _, m := range p.Mapping {
			if !slices.ContainsFunc(p.mappings, func(real mapping) bool {
				return real.executable && real.start == m.Start && real.limit == m.Limit && real.offset == m.Offset &&
					real.path == m.File
			}) {
				t.Errorf("%#x-%#x %#x %q is not an executable mapping", m.Start, m.Limit, m.Offset, m.File)
			}
		}
	}},
	{"says that functions are resolved, and nothing else", func(t *few, p taken) {
		for i, m := range p.Mapping {
			if i == 0 && !m.HasFunctions || m.HasFilenames || m.HasLineNumbers || m.HasInlineFrames {
				t.Errorf("%s: functions %v files %v lines %v inlines %v", m.File, m.HasFunctions, m.HasFilenames,
					m.HasLineNumbers, m.HasInlineFrames)
			}
		}
	}},
	{"has locations inside their mappings", func(t *few, p taken) {
		seen := map[uint64]bool{}
		for _, l := range p.Location {
			if l.Mapping == nil || l.Address < l.Mapping.Start || l.Address >= l.Mapping.Limit {
				t.Errorf("location %#x in %v", l.Address, l.Mapping)
			}
			if seen[l.Address] {
				t.Errorf("two locations for %#x", l.Address)
			}
			seen[l.Address] = true
			if l.IsFolded {
				t.Errorf("%#x is folded", l.Address)
			}
		}
	}},
	{"names every location with file and line", func(t *few, p taken) {
		for _, l := range p.Location {
			if len(l.Line) == 0 {
				t.Errorf("%#x has no name", l.Address)
			}
			for _, line := range l.Line {
				if l.Mapping != nil && line.Function.Filename == filepath.Base(l.Mapping.File) { // _start, the vDSO: no line table
					continue
				}
				if line.Line <= 0 || line.Function.Filename == "" {
					t.Errorf("%#x %s has no line: %q:%d", l.Address, line.Function.Name, line.Function.Filename, line.Line)
				}
			}
		}
	}},
	{"has each function once", func(t *few, p taken) {
		seen := map[string]bool{}
		for _, f := range p.Function {
			if f.Name == "" || f.Name != f.SystemName {
				t.Errorf("name %q, system name %q", f.Name, f.SystemName)
			}
			key := f.Name + " " + f.Filename
			if f.StartLine != 0 {
				key += fmt.Sprint(" ", f.StartLine)
			}
			if seen[key] {
				t.Errorf("twice: %s", key)
			}
			seen[key] = true
		}
	}},
	{"shows inlined functions", func(t *few, p taken) {
		if !slices.ContainsFunc(p.Location, func(l *profile.Location) bool { return len(l.Line) >= 2 }) {
			t.Error("no location has two lines")
		}
	}},
}

// What only ours promises.
var ourProfileRules = []struct {
	name  string
	check func(t *few, p taken)
}{
	{"says in comments what it is", func(t *few, p taken) { // Go has none
		found := map[string]string{}
		for _, comment := range p.Comments {
			kind, pairs, _ := strings.Cut(comment, ": ")
			for _, pair := range strings.Fields(pairs) {
				key, value, isPair := strings.Cut(pair, "=")
				if key = kind + ": " + key; !isPair || value == "" || found[key] != "" {
					t.Errorf("comment %q", comment)
				}
				found[key] = value
			}
		}
		for _, key := range []string{"program: version", "rates: cpu_hz", "rates: heap_bytes", "lost since the start: ticks", "lost in this profile: stacks_cut"} {
			if found[key] == "" {
				t.Errorf("no %q in %q", key, p.Comments)
			}
		}
		if found["program: build_id"] != p.Mapping[0].BuildID {
			t.Errorf("%q, but the mapping's build id is %s", p.Comments, p.Mapping[0].BuildID)
		}
	}},
	{"labels every sample with its thread", func(t *few, p taken) {
		for _, s := range p.Sample {
			names := s.Label["thread"]
			if len(s.Label) != 1 || len(s.NumLabel) != 0 || len(names) != 1 || !slices.Contains(p.threads, names[0]) {
				t.Errorf("labels %q %v; threads %q", s.Label, s.NumLabel, p.threads)
			}
		}
	}},
	{"has complete stacks", func(t *few, p taken) {
		for _, s := range p.Sample {
			root := "nothing"
			if len(s.Location) > 0 {
				last := s.Location[len(s.Location)-1]
				root = last.Line[len(last.Line)-1].Function.Name
			}
			if !threadRoot.MatchString(root) {
				t.Errorf("%d ticks end in %s, not at a thread's start:\n%s", s.Value[0], root, stackText(s))
			}
		}
	}},
	{"goes through the libraries", func(t *few, p taken) {
		all := ""
		for _, s := range p.Sample {
			all += stackText(s)
		}
		for _, name := range []string{"uv_run", "MHD_"} {
			if !strings.Contains(all, name) {
				t.Errorf("no stack goes through %s", name)
			}
		}
	}},
	{"has file names that do not depend on where it was built", func(t *few, p taken) {
		for _, f := range p.Function {
			if filepath.IsAbs(f.Filename) {
				t.Errorf("%s: %s", f.Name, f.Filename)
			}
		}
	}},
}

// The outermost function of a stack: what the kernel or clone jumps to.
var threadRoot = regexp.MustCompile(`^(_start|__clone|clone)$`)

func stackText(s *profile.Sample) string {
	var text strings.Builder
	for _, l := range s.Location {
		for _, line := range l.Line {
			fmt.Fprintf(&text, "  %#x %s %s:%d\n", l.Address, line.Function.Name, line.Function.Filename, line.Line)
		}
	}
	return text.String()
}

// The tests that look at a CPU profile share one of each program.
func TestTakenProfiles(t *testing.T) {
	t.Parallel()
	programs := pair(both(t))
	var profiles []taken
	for _, p := range programs {
		got := takeProfile(t, p, profileOf("?seconds=300"), aSecond)
		profiles = append(profiles, got)
		t.Run(p.name, func(t *testing.T) {
			rules := profileRules
			if p.name == "ours" {
				rules = slices.Concat(rules, ourProfileRules)
			}
			for _, rule := range rules {
				t.Run(rule.name, func(t *testing.T) { rule.check(&few{T: t}, got) })
			}
			t.Run("agrees with symbol", func(t *testing.T) { agreesWithSymbol(&few{T: t}, got) })
			file := filepath.Join(t.TempDir(), "taken.pb.gz")
			if err := os.WriteFile(file, got.answer.body, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Run("in the tool's reports", func(t *testing.T) { toolReports(t, p, file) })
			t.Run("in the tool's web pages", func(t *testing.T) { toolWebPages(t, file) })
			if p.name == "ours" {
				t.Run("with the source of functions", func(t *testing.T) { toolListsSource(t, got, file) })
			}
		})
	}
	t.Run("headers", func(t *testing.T) { compareProfileAnswers(t, "HTTP/1.1", profiles[0].answer, profiles[1].answer) })
	t.Run("headers in HTTP/1.0", func(t *testing.T) {
		var answers []*answer
		for _, p := range programs {
			got := takeProfile(t, p, "GET /debug/pprof/profile?seconds=300 HTTP/1.0\r\n\r\n", aSecond)
			answers = append(answers, got.answer)
		}
		compareProfileAnswers(t, "HTTP/1.0", answers[0], answers[1])
	})
}

// compareProfileAnswers: these are over 2048 bytes; idle ones, elsewhere, are below.
func compareProfileAnswers(t *testing.T, row string, ours, golang *answer) {
	judge(t, row, withoutBody(compareAnswers(ours, golang, same, same)), libraryDifferences, nil, "a profile under load")
	for _, a := range []*answer{ours, golang} {
		checkFraming(t, a)
		if len(a.body) <= 2048 || !bytes.HasPrefix(a.body, []byte("\x1f\x8b\x08\x00")) {
			t.Errorf("want a gzip file of more than 2048 bytes: %v", a)
		}
	}
}

// An idle program has a profile too.
func TestIdleProfile(t *testing.T) {
	t.Parallel()
	for _, p := range pair(both(t)) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			idle := parse(t, ask(t, p.pprofAddress, profileOf("?seconds=1")))
			if len(idle.SampleType) != 2 || len(idle.Mapping) == 0 || idle.Mapping[0].File != p.exe {
				t.Errorf("%v", idle)
			}
		})
	}
}

// Names come from the running program itself: not from argv[0], the folder it was started in or a file beside it.
func TestNamesDoNotDependOnArgv(t *testing.T) {
	t.Parallel()
	got := takeProfile(t, startOurs(t, argv0("/nonexistent/program")), profileOf("?seconds=300"), aSecond/5)
	if got.Mapping[0].File != oursExe || !got.Mapping[0].HasFunctions || len(got.Function) < 10 {
		t.Errorf("mapping %+v, %d functions", got.Mapping[0], len(got.Function))
	}
}

// agreesWithSymbol: symbol gives the innermost inlined function at an address, as the profile does.
func agreesWithSymbol(t *few, p taken) {
	for _, l := range p.Location {
		// Go shortens type parameters in answers of symbol.
		if l.Mapping == nil || l.Mapping.ID != 1 || strings.Contains(l.Line[0].Function.Name, "[") {
			continue
		}
		a := ask(t, p.program.pprofAddress, get(fmt.Sprintf("/debug/pprof/symbol?%#x", l.Address)))
		want := fmt.Sprintf("num_symbols: 1\n%#x %s\n", l.Address, l.Line[0].Function.Name)
		if string(a.body) != want {
			t.Errorf("got %q, want %q", a.body, want)
		}
	}
}
