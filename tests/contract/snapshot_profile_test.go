// SPDX-License-Identifier: Apache-2.0

// What is inside the profiles other than CPU's: what their protobuf says of itself must be what Go's says.

package contract

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"extproc/tests/internal/rig"
)

// oftenSampled makes both programs sample each kilobyte, so that there is something to see after a moment.
var oftenSampled = environment("PPROF_HEAP_RATE=1024", "GODEBUG=memprofilerate=1024")

// typesOf is all that a profile says of its values.
func typesOf(p *profile.Profile) string {
	var text strings.Builder
	for _, s := range p.SampleType {
		fmt.Fprintf(&text, "%s/%s ", s.Type, s.Unit)
	}
	fmt.Fprintf(&text, "| %s/%s %d | default %q", p.PeriodType.Type, p.PeriodType.Unit, p.Period, p.DefaultSampleType)
	return text.String()
}

func takeSnapshot(t *testing.T, p *program, target string) taken {
	t.Helper()
	result := taken{program: p, asked: time.Now()}
	result.answer = ask(t, p.pprofAddress, get("/debug/pprof/"+target))
	result.arrived = time.Now()
	result.Profile = parse(t, result.answer)
	result.mappings = p.mappings(t)
	return result
}

// isStampedBetween: the time stamp lies between the request and the answer.
func (p taken) isStampedBetween() bool {
	at := time.Unix(0, p.TimeNanos)
	return !at.Before(p.asked.Round(0)) && !at.After(p.arrived.Round(0))
}

func TestSnapshotTypesAreGos(t *testing.T) {
	ours, golang := both(t)
	for _, name := range snapshotNames {
		a, b := takeSnapshot(t, ours, name), takeSnapshot(t, golang, name)
		if typesOf(a.Profile) != typesOf(b.Profile) {
			t.Errorf("%s\n  ours: %s\n  go:   %s", name, typesOf(a.Profile), typesOf(b.Profile))
		}
		for _, p := range []taken{a, b} {
			if !p.isStampedBetween() || p.DurationNanos != 0 {
				t.Errorf("%s: %s: asked %v, taken %v, arrived %v, duration %d", p.program.name, name,
					p.asked, time.Unix(0, p.TimeNanos), p.arrived, p.DurationNanos)
			}
		}
	}
}

// Differences: Go loses the default type of allocs in them, ours need not.
func TestDeltaTypesAreGos(t *testing.T) {
	t.Parallel()
	ours, golang := both(t)
	for _, name := range snapshotNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var types []string
			for _, p := range pair(ours, golang) {
				got := takeSnapshot(t, p, name+"?seconds=1")
				got.DefaultSampleType = ""
				types = append(types, typesOf(got.Profile))
				length, most := time.Duration(got.DurationNanos), got.arrived.Sub(got.asked)+time.Second
				err := got.CheckValid()
				if err != nil || length < 900*time.Millisecond || length > most || !got.isStampedBetween() {
					t.Errorf("%s: %v, asked %v, taken %v, arrived %v, duration %v", p.name, err,
						got.asked, time.Unix(0, got.TimeNanos), got.arrived, length)
				}
			}
			if types[0] != types[1] {
				t.Errorf("\n  ours: %s\n  go:   %s", types[0], types[1])
			}
		})
	}
}

// The rules of CPU profiles that hold for snapshots too.
var snapshotRules = []string{"is valid", "drops no frames", "says in comments what it is",
	"has the program as mapping 1, with its build id",
	"has the mappings of /proc/PID/maps", "says that functions are resolved, and nothing else",
	"has locations inside their mappings", "names every location with file and line", "has each function once",
	"has file names that do not depend on where it was built", "has complete stacks"}

func TestSnapshotsAreTrueToTheirFormat(t *testing.T) {
	t.Parallel()
	for _, p := range pair(both(t, oftenSampled)) {
		stop := load(t, p)
		for deadline := time.Now().Add(hangs); len(takeSnapshot(t, p, "allocs").Sample) < 5; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: allocations are not sampled", p.name)
			}
		}
		stop()
		rules := slices.Clone(profileRules)
		if p.name == "ours" {
			rules = slices.Concat(rules, ourProfileRules)
		}
		for _, name := range snapshotNames {
			if name == "threadcreate" && p.name == "go" {
				continue // its stacks are not resolved
			}
			got := takeSnapshot(t, p, name)
			for _, rule := range rules {
				// Not all that goroutines do has a name, and where there is no sample Go does not say that all have one.
				isExcused := p.name == "go" && strings.HasPrefix(rule.name, "says")
				if slices.Contains(snapshotRules, rule.name) && !isExcused {
					t.Run(p.name+" "+name+" "+rule.name, func(t *testing.T) { rule.check(&few{T: t}, got) })
				}
			}
			isSized := name == "heap" || name == "allocs"
			for _, s := range got.Sample {
				if s.Value[0] == 0 { // Go has stacks that it has not counted yet
					continue
				}
				if sizes := s.NumLabel["bytes"]; isSized != (len(sizes) == 1 && sizes[0] > 0 && len(s.NumUnit["bytes"]) == 0) {
					t.Errorf("%s: %s: bytes label: %v %v", p.name, name, s.NumLabel, s.NumUnit)
					break
				}
			}
		}
	}
}

// Scrapers subtract successive profiles stack by stack: what is cumulative never goes down, and stacks stay.
func TestCumulativeValuesNeverGoDown(t *testing.T) {
	t.Parallel()
	complain := &few{T: t}
	// How many of the values are.
	cumulative := map[string]int{"allocs": 2, "heap": 2, "block": 2, "mutex": 2, "threadcreate": 1}
	for _, p := range pair(both(t, oftenSampled)) {
		load(t, p)
		for _, name := range snapshotNames {
			count, isCumulative := cumulative[name]
			if !isCumulative || name == "threadcreate" && p.name == "go" {
				continue
			}
			var before map[string][]int64
			for range 5 {
				after := map[string][]int64{}
				for _, s := range takeSnapshot(t, p, name).Sample {
					key := fmt.Sprint(s.Label, s.NumLabel)
					for _, l := range s.Location {
						key += fmt.Sprintf(" %#x", l.Address)
					}
					after[key] = s.Value[:count]
				}
				for key, values := range before {
					now := after[key]
					if now == nil {
						now = make([]int64, count)
					}
					for i := range values {
						if now[i] < values[i] {
							complain.Errorf("%s: %s: %s: first %d, then %d", p.name, name, key, values, now)
						}
					}
				}
				before = after
			}
		}
	}
}

// goroutine means thread: as protobuf, as text, as dump and in the index, all threads of the process, none else.
func TestGoroutinesAreThreads(t *testing.T) {
	rig.SkipEmulated(t, "has a thread of its own")
	ours := startOurs(t)
	c := dial(t, ours.pprofAddress)
	ask := func(target string) *answer { return c.send(get("/debug/pprof/" + target)).read("GET") }
	ask("cmdline") // from here on the connection has its thread
	for deadline := time.Now().Add(hangs); ; {
		before := threadIDs(t, ours)
		snapshot, text, dump, index := ask("goroutine"), ask("goroutine?debug=1"), ask("goroutine?debug=2"), ask("")
		if !slices.Equal(before, threadIDs(t, ours)) {
			if time.Now().After(deadline) {
				t.Fatal("threads come and go all the time")
			}
			continue
		}
		sum, want := int64(0), int64(len(before))
		for _, s := range parse(t, snapshot).Sample {
			sum += s.Value[0]
			if !slices.Equal(slices.Sorted(maps.Keys(s.Label)), []string{"state", "thread"}) {
				t.Errorf("labels: %v", s.Label)
			}
		}
		if sum != want {
			t.Errorf("protobuf: %d threads, want %d", sum, want)
		}
		if head, _, _ := strings.Cut(string(text.body), "\n"); head != fmt.Sprintf("goroutine profile: total %d", want) {
			t.Errorf("text: %s, want %d", head, want)
		}
		var ids []int
		for _, m := range dumpHead.FindAllStringSubmatch(string(dump.body), -1) {
			id, _ := strconv.Atoi(m[1])
			ids = append(ids, id)
		}
		slices.Sort(ids)
		if !slices.Equal(ids, before) {
			t.Errorf("dump: %d, want %d", ids, before)
		}
		for _, row := range readIndex(t, index) {
			if row.name == "goroutine" && row.count != fmt.Sprint(want) {
				t.Errorf("index: %s, want %d", row.count, want)
			}
		}
		return
	}
}

func threadIDs(t *testing.T, p *program) (ids []int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.pid), "task"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		id, _ := strconv.Atoi(entry.Name())
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
