// SPDX-License-Identifier: Apache-2.0

// Ours alone: the forms for a terminal say what the file for `go tool pprof` says.

package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// folded is what format=folded should print of a profile, without an order.
func folded(p *profile.Profile, value int) []string {
	sums := map[string]int64{}
	for _, s := range p.Sample {
		var names []string
		for _, location := range s.Location {
			for _, line := range location.Line {
				names = append(names, line.Function.Name)
			}
		}
		slices.Reverse(names)
		sums[strings.Join(names, ";")] += s.Value[value]
	}
	var lines []string
	for stack, sum := range sums {
		if sum != 0 {
			lines = append(lines, fmt.Sprintf("%s %d", stack, sum))
		}
	}
	slices.Sort(lines)
	return lines
}

// threadcreate changes only when threads start, as one does for each connection: both answers come by
// the same, and anew while the program itself still starts some.
func TestFoldedSaysWhatTheFileSays(t *testing.T) {
	ours := startOurs(t)
	c := dial(t, ours.pprofAddress)
	defer c.conn.Close()
	const tries = 50
	for i := range tries {
		file := parse(t, c.send(get("/debug/pprof/threadcreate")).read("GET"))
		text := string(c.send(get("/debug/pprof/threadcreate?format=folded")).read("GET").body)
		got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		slices.Sort(got)
		want := folded(file, 0)
		if slices.Equal(got, want) && len(got) > 2 {
			return
		}
		if i == tries-1 {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
}

// Flat values add up to the total, and thread starts are below everything.
func TestTopAddsUp(t *testing.T) {
	ours, _ := both(t)
	lines := strings.Split(string(ask(t, ours.pprofAddress, get("/debug/pprof/goroutine?format=top")).body), "\n")
	if len(lines) < 5 || lines[0] != "Type: goroutine" || !strings.HasPrefix(lines[1], "Total samples = ") ||
		strings.Join(strings.Fields(lines[2]), " ") != "flat flat% sum% cum cum%" {
		t.Fatalf("%q", lines)
	}
	total, _ := strconv.Atoi(strings.TrimPrefix(lines[1], "Total samples = "))
	sum := 0
	for _, line := range lines[3 : len(lines)-1] {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			t.Fatalf("%q", line)
		}
		flat, err := strconv.Atoi(fields[0])
		cum, err2 := strconv.Atoi(fields[3])
		if err != nil || err2 != nil || cum < flat || cum > total {
			t.Errorf("%q of %d", line, total)
		}
		sum += flat
	}
	if sum != total || total == 0 {
		t.Errorf("flat values add up to %d of %d", sum, total)
	}
}

// What is no format, and what cannot be together, is said at once and by name.
func TestFormatErrors(t *testing.T) {
	ours, _ := both(t)
	for target, sentence := range map[string]string{
		"heap?format=svg&seconds=1000":      "invalid value for \"format\" - must be folded or top\n",
		"profile?format=svg":                "invalid value for \"format\" - must be folded or top\n",
		"heap?format=top&debug=1":           "format and debug params are incompatible\n",
		"profile?format=top&sample_index=x": "invalid value for \"sample_index\" - must be one of samples cpu\n",
	} {
		a := ask(t, ours.pprofAddress, get("/debug/pprof/"+target))
		if a.status != 400 || string(a.body) != sentence || a.value("X-Go-Pprof") != "1" {
			t.Errorf("%s: %v", target, a)
		}
	}
}
