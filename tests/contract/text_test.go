// SPDX-License-Identifier: Apache-2.0

// The text forms (debug=1, debug=2): a grammar that Go's and ours both obey, and sums that must agree.

package contract

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

const heapHead = `heap profile: (\d+): (\d+) \[(\d+): (\d+)\] @ heap/2048`
const heapRecord = `(\d+): (\d+) \[(\d+): (\d+)\] @( 0x[0-9a-f]+)+`
const countRecord = `(\d+) @( 0x[0-9a-f]+)*`
const waitRecord = `(\d+) (\d+) @( 0x[0-9a-f]+)+`

// One row for each profile: its first lines and its records. Values are those of a program started with oftenSampled.
var textRows = map[string]struct {
	head, record string
	ascending    bool // order of the records by the value `by`
	by           int
}{
	"heap":         {heapHead, heapRecord, true, 2},
	"allocs":       {heapHead, heapRecord, true, 2},
	"block":        {`--- contention:\ncycles/second=\d+`, waitRecord, false, 1},
	"mutex":        {`--- mutex:\ncycles/second=\d+\nsampling period=\d+`, waitRecord, false, 1},
	"goroutine":    {`goroutine profile: total (\d+)`, countRecord, false, 1},
	"threadcreate": {`threadcreate profile: total (\d+)`, countRecord, false, 1},
}

// What may stand between records. A frame that has no name has its address only.
var otherLines = regexp.MustCompile(`^(#\t0x[0-9a-f]+(\t+\S[^\t]*\+0x[0-9a-f]+\t+[^\t]*:\d+)?|# labels: \{.*\}|# .*|#)?$`)

func TestTextFormsAreGos(t *testing.T) {
	t.Parallel()
	for _, p := range pair(both(t, oftenSampled)) {
		stop := load(t, p)
		for deadline := time.Now().Add(hangs); len(takeSnapshot(t, p, "allocs").Sample) < 5 && time.Now().Before(deadline); {
		}
		stop()
		for _, name := range snapshotNames {
			t.Run(p.name+" "+name, func(t *testing.T) {
				checkText(t, name, string(ask(t, p.pprofAddress, get("/debug/pprof/"+name+"?debug=1")).body))
			})
		}
	}
}

// pprof takes 1 off the addresses of a text, since Go prints what follows a call: an address that is not
// one more than the call's lies in no function, or in the one before.
func TestTextHasTheNamesOfTheProtobuf(t *testing.T) {
	t.Parallel()
	ours := startOurs(t, oftenSampled)
	load(t, ours)()
	leaf := regexp.MustCompile(`(?m)^ +[1-9]\S* +\S+% +\S+% +\S+ +\S+% +(.*?)( \(inline\))?$`)
	for _, name := range snapshotNames {
		found := [2]map[string]bool{{}, {}}
		for i, query := range []string{"", "?debug=1"} {
			out, _ := runPprof(t, "-top", "-nodecount=1000", "-nodefraction=0", "http://"+ours.pprofAddress+"/debug/pprof/"+name+query)
			for _, row := range leaf.FindAllStringSubmatch(out, -1) {
				found[i][row[1]] = true
			}
		}
		common := 0
		for function := range found[1] {
			if found[0][function] {
				common++
			} else if strings.Contains(function, "unknown") {
				t.Errorf("%s: the text has %q", name, function)
			}
		}
		// A thread or two may have moved on; of the rest there is something else each time.
		stands := name == "goroutine" || name == "threadcreate"
		if stands && (common == 0 || common < len(found[0])-2) {
			t.Errorf("%s: %d leaves in common of %v and %v", name, common, found[0], found[1])
		}
	}
}

func checkText(t *testing.T, name, text string) {
	row := textRows[name]
	head := regexp.MustCompile(`^` + row.head + `\n`).FindStringSubmatch(text)
	if head == nil {
		t.Fatalf("want %s at the start of\n%.300s", row.head, text)
	}
	record := regexp.MustCompile(`^` + row.record + `$`)
	sums := make([]int64, 5)
	var order []int64
	for line := range strings.Lines(text[len(head[0]):]) {
		line = strings.TrimSuffix(line, "\n")
		m := record.FindStringSubmatch(line)
		if m == nil {
			if !otherLines.MatchString(line) {
				t.Errorf("neither a record nor what may follow one: %q", line)
			}
			continue
		}
		for i := 1; i < len(m) && i < len(sums); i++ {
			value, _ := strconv.ParseInt(m[i], 10, 64)
			sums[i] += value
			if i == row.by {
				order = append(order, value)
			}
		}
	}
	if !row.ascending {
		slices.Reverse(order)
	}
	if !slices.IsSorted(order) {
		t.Errorf("not in order: %d", order)
	}
	for i := 1; i < len(head); i++ {
		total, _ := strconv.ParseInt(head[i], 10, 64)
		isGosOne := i == 4 && total == sums[i]+1 // Go avoids equal totals
		if total != sums[i] && !isGosOne {
			t.Errorf("value %d: the first line says %d, the records sum up to %d", i, total, sums[i])
		}
	}
}

var dumpHead = regexp.MustCompile(`(?m)^goroutine (\d+) \[[^\]\n]+\]:$`)

// A dump: the one that answers first, as running; calls and places in pairs; who created it last.
func TestDumpIsGos(t *testing.T) {
	lines := regexp.MustCompile(`^(\S.*\([^()]*\)|created by \S.*|\t[^\t]*:\d+( \+0x[0-9a-f]+)?)$`)
	for _, p := range pair(both(t)) {
		text := string(ask(t, p.pprofAddress, get("/debug/pprof/goroutine?debug=2")).body)
		blocks := strings.Split(strings.TrimRight(text, "\n"), "\n\n")
		for i, block := range blocks {
			rows := strings.Split(block, "\n")
			for len(rows) > 0 && strings.HasPrefix(rows[0], "# ") {
				rows = rows[1:]
			}
			if len(rows) < 3 || !dumpHead.MatchString(rows[0]) || i == 0 && !strings.HasSuffix(rows[0], " [running]:") {
				t.Errorf("%s: block %d:\n%s", p.name, i, block)
				continue
			}
			for j, line := range rows[1:] {
				if isPlace := strings.HasPrefix(line, "\t"); isPlace != (j%2 == 1) || !lines.MatchString(line) {
					t.Errorf("%s: line %q in\n%s", p.name, line, block)
				}
			}
		}
	}
}

func hasFreed(heap *profile.Profile) bool {
	return slices.ContainsFunc(heap.Sample, func(sample *profile.Sample) bool { return sample.Value[0] > sample.Value[2] })
}

// Go's tool reads each text, names its addresses by POST to symbol and says nothing that it does not say of Go's.
func TestToolReadsSnapshots(t *testing.T) {
	t.Parallel()
	ours, golang := both(t, oftenSampled)
	for _, p := range pair(ours, golang) {
		load(t, p)
		// While nothing that was sampled is free, the tool takes the text of heap for that of a program
		// that counts no frees.
		for deadline := time.Now().Add(hangs); !hasFreed(takeSnapshot(t, p, "heap").Profile) && time.Now().Before(deadline); {
		}
	}
	for _, name := range snapshotNames {
		for _, query := range []string{"", "?debug=1", "?seconds=1"} {
			t.Run(name+query, func(t *testing.T) {
				t.Parallel()
				var complaints, kinds []string
				for _, p := range pair(ours, golang) {
					out, stderr := runPprof(t, "-top", fmt.Sprintf("http://%s/debug/pprof/%s%s", p.pprofAddress, name, query))
					complaints = append(complaints, quiet(p, stderr))
					kinds = append(kinds, regexp.MustCompile(`(?m)^Type: .*`).FindString(out))
				}
				if name+query == "allocs?seconds=1" { // Go loses the default type in differences
					kinds[1] = strings.Replace(kinds[1], "inuse", "alloc", 1)
				}
				if complaints[0] != complaints[1] || kinds[0] != kinds[1] {
					t.Errorf("\n  ours: %s %s\n  go:   %s %s", kinds[0], complaints[0], kinds[1], complaints[1])
				}
			})
		}
	}
}
