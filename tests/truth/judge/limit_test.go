// SPDX-License-Identifier: Apache-2.0

package truth

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"extproc/tests/internal/rig"

	"github.com/google/pprof/profile"
)

// full starts a program that holds so many sampled stacks and fills its container to the limit, all but
// a few pages.
func full(t *testing.T, stacks, limit int) (program *rig.Program, address string) {
	t.Helper()
	folder, usageFile := rig.MemoryGroup(t, limit)
	program = rig.Start(t, "limit", "/bin/sh", []string{
		"-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, folder,
		rig.Built(t, "tests", "truth", "limit"), strconv.Itoa(stacks), usageFile, strconv.Itoa(limit)},
		[]string{"PPROF_HEAP_RATE=1"})
	address = strings.TrimPrefix(program.WaitLine("its address", hasPrefix("address ")), "address ")
	program.Signal(startSignal)
	program.WaitLine("the end of the work", func(line string) bool { return line == "end" })
	return program, address
}

func ask(t *testing.T, program *rig.Program, address, name string) (status int, body string) {
	t.Helper()
	response, err := http.Get("http://" + address + "/debug/pprof/" + name)
	if err != nil {
		t.Fatalf("%s: %v (has the program ended? %v)", name, err, program.HasEnded())
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v (has the program ended? %v)", name, err, program.HasEnded())
	}
	return response.StatusCode, string(text)
}

// Nothing was read before: names are looked up for the first time when there is no memory left.
func TestProfilesAreReadAtTheMemoryLimit(t *testing.T) {
	const stacks = 10000
	program, address := full(t, stacks, 128<<20)
	for _, name := range []string{"heap", "goroutine", "heap", "allocs", "block", "threadcreate"} {
		status, body := ask(t, program, address, name)
		if status != 200 {
			t.Fatalf("%s: status %d: %s", name, status, body)
		}
		parsed, err := profile.ParseData([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "heap" && len(parsed.Sample) < stacks {
			t.Errorf("heap: %d samples, want %d", len(parsed.Sample), stacks)
		}
		for _, sample := range parsed.Sample {
			if all := strings.Join(names(sample), " "); strings.Contains(all, "0x") {
				t.Fatalf("%s: a stack without names: %s", name, all)
			}
		}
	}
	if status, body := ask(t, program, address, "goroutine?debug=2"); status != 200 || !strings.Contains(body, "pause(...)") {
		t.Errorf("dump: status %d:\n%s", status, body)
	}
}

// Seven times more than what is kept aside for.
func TestAProfileTooLargeForTheLimitIsRefused(t *testing.T) {
	program, address := full(t, 70000, 128<<20)
	for range 3 {
		for _, name := range []string{"heap", "heap?debug=1"} {
			status, body := ask(t, program, address, name)
			if status != 503 || !strings.Contains(body, "below the memory limit") {
				t.Errorf("%s: status %d: %.200s", name, status, body)
			}
		}
		if status, body := ask(t, program, address, "goroutine"); status != 200 {
			t.Errorf("goroutine: status %d: %s", status, body)
		}
	}
	if program.HasEnded() {
		t.Error("the program has ended")
	}
}
