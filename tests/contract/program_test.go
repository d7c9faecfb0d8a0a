// SPDX-License-Identifier: Apache-2.0

// The two programs that are compared, and what a test needs to know of a running one.

package contract

import (
	"bufio"
	"debug/elf"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

// Set by TestMain.
var (
	oursExe   string // the program under test
	goExe     string // gopeer
	pprofTool string // what `go tool pprof` runs
)

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	folder, err := os.MkdirTemp("", "contract")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	goExe, pprofTool = filepath.Join(folder, "gopeer"), filepath.Join(folder, "pprof")
	for output, source := range map[string]string{goExe: "./gopeer", pprofTool: "cmd/pprof"} {
		build := exec.Command("go", "build", "-o", output, source)
		if text, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, text)
			return 1
		}
	}
	oursExe = os.Getenv("EXTPROC_BINARY")
	if oursExe == "" {
		oursExe = "../../build/extproc"
	}
	oursExe, err = filepath.Abs(oursExe)
	if err == nil {
		oursExe, err = filepath.EvalSymlinks(oursExe)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\nmake build leaves the program there; EXTPROC_BINARY names another place\n", err)
		return 1
	}
	flag.Parse()
	parallel := "64" // these tests wait more than they work
	if os.Getenv("EMULATOR") != "" {
		parallel = "8" // but not there
	}
	flag.Set("test.parallel", parallel)
	return m.Run()
}

type program struct {
	name string // "ours" or "go"
	exe  string
	argv []string
	pid  int

	pprofAddress string

	lock      sync.Mutex
	stderr    []string
	listening map[string]string // service -> address
	changed   chan struct{}     // closed and replaced at each line
	exited    chan struct{}
}

type option func(*exec.Cmd)

func environment(pairs ...string) option {
	return func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, pairs...) }
}

func argv0(text string) option { return func(cmd *exec.Cmd) { cmd.Args[0] = text } }

func arguments(extra ...string) option {
	return func(cmd *exec.Cmd) { cmd.Args = append(cmd.Args, extra...) }
}

func startOurs(t testing.TB, options ...option) *program {
	t.Helper()
	return start(t, "ours", oursExe, options)
}

func startGo(t testing.TB, options ...option) *program {
	t.Helper()
	return start(t, "go", goExe, options)
}

// both starts a fresh pair.
func both(t testing.TB, options ...option) (ours, golang *program) {
	t.Helper()
	return startOurs(t, options...), startGo(t, options...)
}

func pair(ours, golang *program) []*program { return []*program{ours, golang} }

func start(t testing.TB, name, exe string, options []option) *program {
	t.Helper()
	cmd := exec.Command(exe, "--listen", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--pprof-address", "127.0.0.1:0")
	cmd.Dir = "/" // nothing may depend on where it was started
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "PPROF_") || strings.HasPrefix(pair, "EXTPROC_") ||
			strings.HasPrefix(pair, "DISABLE_PPROF=") || strings.HasPrefix(pair, "GODEBUG=")
	})
	for _, apply := range options {
		apply(cmd)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	argv := cmd.Args
	if exe == oursExe {
		rig.Emulate(cmd)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{name: name, exe: exe, argv: argv, pid: cmd.Process.Pid, listening: map[string]string{},
		changed: make(chan struct{}), exited: make(chan struct{})}
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.note(lines.Text())
		}
		cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		select {
		case <-p.exited:
			t.Errorf("%s ended by itself: %v\n%s", name, cmd.ProcessState, p.log())
		default:
			cmd.Process.Kill()
			<-p.exited
		}
	})
	p.pprofAddress = p.address(t, "pprof")
	return p
}

var listeningLine = regexp.MustCompile(`msg=listening\b.*\bservice=(\S+) address=(\S+)`)

func (p *program) note(line string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.stderr = append(p.stderr, line)
	if m := listeningLine.FindStringSubmatch(line); m != nil {
		p.listening[m[1]] = m[2]
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *program) log() string {
	p.lock.Lock()
	defer p.lock.Unlock()
	return strings.Join(p.stderr, "\n")
}

// address waits for the program to say where it serves `service`.
func (p *program) address(t testing.TB, service string) string {
	t.Helper()
	deadline := time.After(hangs)
	for {
		p.lock.Lock()
		address, known := p.listening[service]
		changed := p.changed
		p.lock.Unlock()
		if known {
			return address
		}
		select {
		case <-changed:
		case <-p.exited:
			t.Fatalf("%s ended before it served %s:\n%s", p.name, service, p.log())
		case <-deadline:
			t.Fatalf("%s never said where it serves %s:\n%s", p.name, service, p.log())
		}
	}
}

// cmdline is what /debug/pprof/cmdline must answer.
func (p *program) cmdline() string { return strings.Join(p.argv, "\x00") }

type symbol struct {
	address uint64 // in the running process
	size    uint64
	name    string
}

var plainName = regexp.MustCompile(`^([\w/]+\.)?[a-z]\w+$`)

// symbols are functions of the running program that have one name only, largest first; `main` comes before all.
func (p *program) symbols(t testing.TB) []symbol {
	t.Helper()
	file, err := elf.Open(p.exe)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table, err := file.Symbols()
	if err != nil {
		t.Fatalf("%s: %v", p.exe, err)
	}
	names := map[uint64]int{}
	addresses := map[string]int{}
	for _, s := range table {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			names[s.Value]++
			addresses[s.Name]++
		}
	}
	base := p.loadBase(t, file)
	var found []symbol
	for _, s := range table {
		plain := elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Size > 16 && names[s.Value] == 1 && addresses[s.Name] == 1
		if plain && plainName.MatchString(s.Name) {
			found = append(found, symbol{base + s.Value, s.Size, s.Name})
		}
	}
	isMain := func(s symbol) bool { return s.name == "main" || s.name == "main.main" }
	slices.SortFunc(found, func(a, b symbol) int {
		if isMain(a) != isMain(b) {
			return map[bool]int{true: -1, false: 1}[isMain(a)]
		}
		return int(b.size) - int(a.size)
	})
	if len(found) < 3 || !isMain(found[0]) {
		t.Fatalf("%s: too few functions in its symbol table: %v", p.exe, found)
	}
	return found
}

// loadBase is the difference between run-time addresses and those in the file; not 0 for position-independent ones.
func (p *program) loadBase(t testing.TB, file *elf.File) uint64 {
	t.Helper()
	if file.Type != elf.ET_DYN {
		return 0
	}
	for _, m := range p.mappings(t) {
		if m.path == p.exe && m.offset == 0 {
			return m.start
		}
	}
	t.Fatalf("%s is not in its own maps", p.exe)
	return 0
}

type mapping struct {
	start, limit, offset uint64
	executable           bool
	path                 string
}

// mappings reads /proc/PID/maps.
func (p *program) mappings(t testing.TB) (all []mapping) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		start, limit, _ := strings.Cut(fields[0], "-")
		m := mapping{executable: strings.Contains(fields[1], "x"), path: strings.Join(fields[5:], " ")}
		m.start, _ = strconv.ParseUint(start, 16, 64)
		m.limit, _ = strconv.ParseUint(limit, 16, 64)
		m.offset, _ = strconv.ParseUint(fields[2], 16, 64)
		all = append(all, m)
	}
	return all
}

// buildID is the GNU build id of a file, in hex as profiles carry it.
func buildID(t testing.TB, path string) string {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	section := file.Section(".note.gnu.build-id")
	if section == nil {
		t.Fatalf("%s has no build id", path)
	}
	note, err := section.Data()
	if err != nil || len(note) < 16 {
		t.Fatalf("%s: bad build id note %x: %v", path, note, err)
	}
	return hex.EncodeToString(note[16:]) // sizes and type, then "GNU\0"
}

// normal replaces what must differ between the programs by a word.
func (p *program) normal(text string) string {
	text = strings.ReplaceAll(text, p.cmdline(), "ARGV")
	if text == strconv.Itoa(len(p.cmdline())) {
		return "length of ARGV"
	}
	return text
}
