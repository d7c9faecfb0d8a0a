// SPDX-License-Identifier: Apache-2.0

package truth

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"extproc/tests/internal/rig"

	"github.com/google/pprof/profile"
)

// waits are the kinds of tests/truth/threads.c and the states that a dump gives them. What runs, and
// what waits in a call that is not wrapped, is running.
var waits = map[string]string{
	"epoll_wait": "IO wait", "epoll_pwait": "IO wait", "poll": "IO wait", "ppoll": "IO wait",
	"nanosleep": "sleep", "clock_nanosleep": "sleep", "sleep_until": "sleep",
	"cond_timedwait": "sync.Cond.Wait", "cond_wait": "sync.Cond.Wait",
	"sem_timedwait": "semacquire", "sem_wait": "semacquire",
	"mutex_timedlock": "sync.Mutex.Lock", "mutex_lock": "sync.Mutex.Lock", "rdlock": "sync.RWMutex.RLock",
	"barrier": "barrier wait", "join": "thread join", "spin": "running",
}

// dumped is a thread in goroutine?debug=2.
type dumped struct {
	name, state, creator string
	tid, creatorTid      int
	frames               []string // leaf first
}

var (
	headPattern    = regexp.MustCompile(`^# thread (.*)\ngoroutine (\d+) \[([^,\]]*)`)
	creatorPattern = regexp.MustCompile(`(?m)^created by (\S+) in goroutine (\d+)$`)
	framePattern   = regexp.MustCompile(`(?m)^(\S+)\(\.\.\.\)$`)
)

func readDump(t *testing.T, text string) map[int]dumped {
	t.Helper()
	all := map[int]dumped{}
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		head := headPattern.FindStringSubmatch(block)
		if head == nil {
			t.Fatalf("no head of a thread:\n%s", block)
		}
		one := dumped{name: head[1], state: head[3]}
		one.tid, _ = strconv.Atoi(head[2])
		if creator := creatorPattern.FindStringSubmatch(block); creator != nil {
			one.creator = creator[1]
			one.creatorTid, _ = strconv.Atoi(creator[2])
		}
		for _, frame := range framePattern.FindAllStringSubmatch(block, -1) {
			one.frames = append(one.frames, frame[1])
		}
		if _, twice := all[one.tid]; twice {
			t.Errorf("thread %d is there twice", one.tid)
		}
		all[one.tid] = one
	}
	return all
}

func endsWith(frames []string, ending ...string) bool {
	at := len(frames) - len(ending)
	return at >= 0 && slices.Equal(frames[at:], ending)
}

// root is where every stack of the program's kinds begins.
var root = []string{"run_kind", "run_listed", "start", "__clone"}

func TestThreadsAreDumpedWhileTheyWaitAndOthersComeAndGo(t *testing.T) {
	const rounds = 60 // of 50 ms
	program := rig.Start(t, "threads", rig.Built(t, "tests", "truth", "threads"), []string{strconv.Itoa(rounds)}, nil)
	address := strings.TrimPrefix(program.WaitLine("its address", hasPrefix("address ")), "address ")
	program.Signal(startSignal)
	program.WaitLine("the threads", func(line string) bool { return line == "start" })
	known := facts(t, program.Lines())
	get := func(name string) string {
		response, err := http.Get("http://" + address + "/debug/pprof/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%s: status %d, %v", name, response.StatusCode, err)
		}
		return string(body)
	}
	hasEnded := func() bool { return slices.Contains(program.Lines(), "waited") }

	dumps, incomplete, inCall, missing := 0, 0, map[string]int{}, map[int]string{}
	for !hasEnded() {
		threads := readDump(t, get("goroutine?debug=2"))
		parsed, err := profile.ParseData([]byte(get("goroutine")))
		if err != nil {
			t.Fatal(err)
		}
		if hasEnded() {
			break // some may be gone
		}
		dumps++
		for name, state := range waits {
			thread, is := threads[int(known["thread:"+name])]
			if !is {
				missing[dumps] = name
				continue
			}
			if thread.name != name || thread.creator != "start_kind" || thread.creatorTid != int(known["creator:"+name]) {
				t.Errorf("%s: thread %q, created by %s in %d, want start_kind in %.0f",
					name, thread.name, thread.creator, thread.creatorTid, known["creator:"+name])
			}
			if !endsWith(thread.frames, root...) {
				incomplete++
				t.Logf("%s [%s]: %s", name, thread.state, strings.Join(thread.frames, " < "))
			}
			if thread.state == state && endsWith(thread.frames, append([]string{name + "_inner", name + "_outer", "wait_once"}, root...)...) {
				inCall[name]++
			}
		}
		checkCounts(t, parsed)
	}

	program.WaitLine("the end of the work", func(line string) bool { return line == "end" })
	end := facts(t, program.Lines())
	t.Logf("%d dumps of %d known threads, %d stacks not complete, while %.0f others came and went", dumps, len(waits), incomplete, end["churned"])
	if dumps < 5 {
		t.Errorf("only %d dumps", dumps)
	}
	// They end just after "waited" is printed, which may take a moment to arrive.
	if len(missing) > 2 {
		t.Errorf("threads are missing, by dump: %v", missing)
	}
	if incomplete*1000 > dumps*len(waits) {
		t.Errorf("%d of %d stacks are not complete", incomplete, dumps*len(waits))
	}
	for name := range waits {
		// What is waited for again and again is waited for nearly always.
		if inCall[name]*4 < dumps {
			t.Errorf("%s: seen in its call, with its stack and state, in %d of %d dumps", name, inCall[name], dumps)
		}
		if end[name+":rounds"] < 1 || end[name+":interrupted"] != 0 || end[name+":early"] != 0 {
			t.Errorf("%s: of %.0f waits %.0f ended by EINTR, %.0f early", name, end[name+":rounds"], end[name+":interrupted"], end[name+":early"])
		}
	}
	checkCreators(t, fetch(t, address, "threadcreate"), int64(end["churned"]))
}

// checkCounts holds the protobuf form to the same: no thread is counted twice.
func checkCounts(t *testing.T, parsed *profile.Profile) {
	t.Helper()
	count := map[string]int64{}
	for _, sample := range parsed.Sample {
		if slices.Contains(names(sample), "run_kind") {
			count[thread(sample)] += sample.Value[0]
		}
	}
	for name := range waits {
		// The thread that is joined has its creator's name.
		if count[name] > 1 {
			t.Errorf("%s is counted %d times", name, count[name])
		}
	}
}

// checkCreators looks for each pthread_create of the program by the stack that called it.
func checkCreators(t *testing.T, parsed *profile.Profile, churned int64) {
	t.Helper()
	kinds := len(waits)
	want := map[string]int64{
		"start_kind < main":                               int64(kinds+1) / 2,
		"start_kind < make_some < run_listed < start":     int64(kinds) / 2,
		"churn < run_listed < start < __clone":            churned,
		"wait_join < join_inner < join_outer < wait_once": 1,
	}
	got := map[string]int64{}
	for _, sample := range parsed.Sample {
		stack := strings.Join(names(sample), " < ")
		for ending := range want {
			if strings.HasPrefix(stack, "__pthread_create < "+ending) {
				got[ending] += sample.Value[0]
			}
		}
	}
	for ending, count := range want {
		if got[ending] != count {
			t.Errorf("%s: %d threads created, want %d", ending, got[ending], count)
		}
	}
	if t.Failed() {
		for _, sample := range parsed.Sample {
			t.Log(fmt.Sprint(sample.Value[0], " ", strings.Join(names(sample), " < ")))
		}
	}
}
