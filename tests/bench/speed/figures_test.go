// SPDX-License-Identifier: Apache-2.0

package speed

import "testing"

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
