// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"fmt"
	"math"
	"slices"
	"time"

	"extproc/tests/internal/load"
)

// figures are measured values of one row, a list for each server: a value a round.
type figures map[string][]float64

func (f figures) add(name string, value float64) { f[name] = append(f[name], value) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// ratio is the median of the quotients of each round: what slows a round down slows both.
func (f figures) ratio(a, b string) float64 {
	var quotients []float64
	for i := range min(len(f[a]), len(f[b])) {
		if f[a][i] > 0 && f[b][i] > 0 {
			quotients = append(quotients, f[a][i]/f[b][i])
		}
	}
	return median(quotients)
}

// less is what each server has more than another one in the same round.
func (f figures) less(base string) figures {
	difference := figures{}
	for name, values := range f {
		for i := range min(len(values), len(f[base])) {
			difference[name] = append(difference[name], values[i]-f[base][i])
		}
	}
	return difference
}

// pool has the latencies of several turns.
type pool []time.Duration

// quantile is of all of them, in µs: 0.99 is p99.
func (p pool) quantile(share float64) float64 {
	all := load.Result{Latency: slices.Sorted(slices.Values(p))}
	return float64(all.Quantile(share).Nanoseconds()) / 1e3
}

func number(value float64) string {
	switch size := math.Abs(value); {
	case size >= 100:
		return fmt.Sprintf("%.0f", value)
	case size >= 10:
		return fmt.Sprintf("%.1f", value)
	default:
		return fmt.Sprintf("%.2f", value)
	}
}

// spread is the median with the least and the most.
func spread(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s–%s)", number(median(values)), number(slices.Min(values)), number(slices.Max(values)))
}

// printHead and print are a table of medians with their spread, and ratios of ours to the others.
func printHead(title string, columns ...string) {
	fmt.Printf("\n%-34s", title)
	for _, column := range columns {
		fmt.Printf(" %22s", column)
	}
	fmt.Println()
}

func (f figures) print(title string, servers ...string) {
	fmt.Printf("%-34s", title)
	for _, name := range servers {
		fmt.Printf(" %22s", spread(f[name]))
	}
	fmt.Printf("   to Go %s (null's %s), to null %s\n", number(f.ratio("ours", "Go")), number(f.ratio("null", "Go")), number(f.ratio("ours", "null")))
}

// goal prints what was wanted, what was seen, and whether it is met.
func goal(what string, isMet bool, seen float64, wanted, limit string) {
	fmt.Printf("%-66s %8s   %-8s %-16s %s\n", what, number(seen), wanted, verdict(isMet, seen), limit)
}

// verdict: nothing seen is no good figure, but a machine too busy to tell.
func verdict(isMet bool, seen float64) string {
	switch {
	case seen == 0:
		return "cannot be told"
	case isMet:
		return "met"
	default:
		return "not met"
	}
}

// goalToGo is one of ours to the Go server's, with what the null server has.
func (f figures) goalToGo(what string, most float64, wanted string) {
	seen := f.ratio("ours", "Go")
	goal(what, seen <= most, seen, "<= "+wanted, number(f.ratio("null", "Go")))
}
