// SPDX-License-Identifier: Apache-2.0

// Package truth asks: does a profile say what the program did? The programs beside it know their own
// call chains and measure their own CPU time; the profile of the same work must agree.
package truth

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"extproc/tests/internal/rig"

	"github.com/google/pprof/profile"
)

// longest is how many seconds are asked for; the work ends long before, and the profile with it.
const longest = 300

// startSignal makes a truth program begin its work.
const startSignal = syscall.SIGUSR1

// measure starts a truth program, has its whole work profiled, and returns what it says and what the
// profile says.
func measure(t *testing.T, name string, args ...string) (map[string]float64, *profile.Profile) {
	t.Helper()
	program := rig.Start(t, name, rig.Built(t, "tests", "truth", name), args, nil)
	address := strings.TrimPrefix(program.WaitLine("its address", hasPrefix("address ")), "address ")

	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	fmt.Fprintf(connection, "GET /debug/pprof/profile?seconds=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", longest)
	// The window is open once the first thread has its timer.
	rig.Eventually(t, func() string {
		if program.Timers() == "" {
			return "no CPU timer yet"
		}
		return ""
	})
	program.Signal(startSignal)
	program.WaitLine("the end of the work", func(line string) bool { return line == "end" })
	// Closing our half ends the profile at once.
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parsed, err := profile.Parse(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return facts(t, program.Lines()), parsed
}

func hasPrefix(prefix string) func(string) bool {
	return func(line string) bool { return strings.HasPrefix(line, prefix) }
}

func facts(t *testing.T, lines []string) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	for _, line := range lines {
		name, text, found := strings.Cut(line, " ")
		value, err := strconv.ParseFloat(text, 64)
		if found && err == nil {
			values[name] = value
		}
	}
	return values
}

// names are the functions of a sample, leaf first, inlined ones included.
func names(sample *profile.Sample) []string {
	var all []string
	for _, location := range sample.Location {
		for _, line := range location.Line {
			all = append(all, line.Function.Name)
		}
		if len(location.Line) == 0 {
			all = append(all, fmt.Sprintf("%#x", location.Address))
		}
	}
	return all
}

func thread(sample *profile.Sample) string { return strings.Join(sample.Label["thread"], ",") }

// count is how many sampling periods a sample stands for.
func count(sample *profile.Sample) float64 { return float64(sample.Value[0]) }

func TestSharesOfCPUAreTrue(t *testing.T) {
	truth, parsed := measure(t, "shares", "12")
	var total float64
	byFunction, byThread := map[string]float64{}, map[string]float64{}
	for _, sample := range parsed.Sample {
		total += count(sample)
		byThread[thread(sample)] += count(sample)
		for _, name := range names(sample) {
			if strings.HasPrefix(name, "burn_") {
				byFunction[name] += count(sample)
				break
			}
		}
	}

	// Every period counts 10 ms: the sum is the process's CPU time, within 3 %.
	if ratio := total * 1e7 / truth["process"]; math.Abs(ratio-1) > 0.03 {
		t.Errorf("the profile holds %.1f %% of what getrusage says (%.2f s)", 100*ratio, truth["process"]/1e9)
	}
	var functions, threads float64
	for name, value := range truth {
		if strings.HasPrefix(name, "burn_") {
			functions += value
		}
		if strings.HasPrefix(name, "thread:") {
			threads += value
		}
	}
	for name, value := range truth {
		if strings.HasPrefix(name, "burn_") {
			share := value / functions
			// Four standard errors of a binomial share.
			allowed := 4 * math.Sqrt(share*(1-share)/total)
			got := byFunction[name] / total
			t.Logf("%-12s true %.3f profile %.3f (allowed ±%.3f)", name, share, got, allowed)
			if math.Abs(got-share) > allowed {
				t.Errorf("%s: share %.4f, true %.4f, allowed ±%.4f", name, got, share, allowed)
			}
		}
		if thread, is := strings.CutPrefix(name, "thread:"); is {
			share, got := value/threads, byThread[thread]/total
			t.Logf("%-12s true %.4f profile %.4f", name, share, got)
			if math.Abs(got-share) > 0.01 {
				t.Errorf("thread %s: share %.4f, true %.4f, allowed ±0.01", thread, got, share)
			}
		}
	}
}

func TestStacksAreComplete(t *testing.T) {
	truth, parsed := measure(t, "chains", "0.8")
	var total, whole float64
	seen := map[string]float64{}
	for _, sample := range parsed.Sample {
		name := thread(sample)
		if _, is := truth["chain:"+name]; !is {
			continue // the program's first thread, the endpoint's own
		}
		total += count(sample)
		seen[name] += count(sample)
		all := names(sample)
		if isWhole(all, name) {
			whole += count(sample)
			continue
		}
		t.Logf("%s: %.0f ticks: %s", name, count(sample), strings.Join(all, " < "))
	}
	for name := range truth {
		if chain, is := strings.CutPrefix(name, "chain:"); is && seen[chain] < 40 {
			t.Errorf("chain %s: only %.0f ticks", chain, seen[chain])
		}
	}
	t.Logf("%.0f of %.0f ticks are whole (%.2f %%)", whole, total, 100*whole/total)
	if whole < 0.999*total {
		t.Errorf("%.2f %% of the stacks are whole, wanted 99.9 %%", 100*whole/total)
	}
}

// isWhole tells whether a stack ends as the chain must: NAME_inner (unless the tick hit NAME_outer or
// the loop around it), NAME_outer, run_chain, the library's start, the thread's start.
func isWhole(all []string, name string) bool {
	wanted := []string{name + "_inner", name + "_outer", "run_chain", "run_listed", "start", "__clone"}
	for first := range wanted {
		rest := wanted[first:]
		at := len(all) - len(rest)
		if at < 0 || strings.Join(all[at:], " ") != strings.Join(rest, " ") {
			continue
		}
		// A shorter ending is right only where the deeper functions are not at work at all.
		return first == 0 || at == 0 || mayBeAbove(all[:at], rest[0])
	}
	return false
}

// mayBeAbove allows what run_chain calls by itself to ask for the time, and what is before it in a
// thread's life.
func mayBeAbove(above []string, root string) bool {
	switch root {
	case "run_chain":
		for _, name := range above {
			if strings.HasSuffix(name, "_inner") || strings.HasSuffix(name, "_outer") {
				return false
			}
		}
		return true
	case "run_listed", "start", "__clone":
		return true // being started or ended
	}
	return false
}
