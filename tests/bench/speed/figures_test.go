// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"slices"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, row := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{8, 2, 4, 1}, 3}} {
		if got := median(row.values); got != row.want {
			t.Errorf("the median of %v is %v, want %v", row.values, got, row.want)
		}
	}
}

// A machine that is slow for one round slows both: the ratio is what stays.
func TestRatioIsOfEachRound(t *testing.T) {
	f := figures{"ours": {1, 10, 2}, "Go": {2, 20, 0}}
	if got := f.ratio("ours", "Go"); got != 0.5 {
		t.Errorf("the ratio is %v, want 0.5 and no round without a value", got)
	}
}

func TestLessIsOfEachRound(t *testing.T) {
	f := figures{"ours": {5, 9}, "without": {2, 8}}
	if got := f.less("without")["ours"]; !slices.Equal(got, []float64{3, 1}) {
		t.Errorf("more by %v, want 3 and 1", got)
	}
}

// Two turns, one of which is slow: the quantile is of all, not one of the turns' and not their mean.
func TestQuantileIsOfAllTurns(t *testing.T) {
	var all pool
	for i := range 100 {
		all = append(all, time.Duration(100-i)*time.Microsecond)
	}
	all = append(all, slices.Repeat([]time.Duration{time.Second}, 2)...)
	for share, want := range map[float64]float64{0.5: 52, 0.9: 92, 0.99: 1e6, 1: 1e6} {
		if got := all.quantile(share); got != want {
			t.Errorf("the quantile %v is %v µs, want %v", share, got, want)
		}
	}
}

// On a busy machine a server may seem to add less than nothing.
func TestNothingSeenIsNotMet(t *testing.T) {
	added := figures{"ours": {-3, 0}, "Go": {2, 4}}
	if got := verdict(true, added.ratio("ours", "Go")); got != "cannot be told" {
		t.Errorf("it is %s, want that it cannot be told", got)
	}
	if met, not := verdict(true, 0.1), verdict(false, 0.9); met != "met" || not != "not met" {
		t.Errorf("%s and %s, want met and not met", met, not)
	}
}
