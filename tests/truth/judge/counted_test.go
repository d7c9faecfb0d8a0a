// SPDX-License-Identifier: Apache-2.0

package truth

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"extproc/tests/internal/rig"

	"github.com/google/pprof/profile"
)

// finished starts a truth program, lets it do its work, and returns what it says and where it serves.
func finished(t *testing.T, name string, environment []string, args ...string) (map[string]float64, string) {
	t.Helper()
	program := rig.Start(t, name, rig.Built(t, "tests", "truth", name), args, environment)
	address := strings.TrimPrefix(program.WaitLine("its address", hasPrefix("address ")), "address ")
	program.Signal(startSignal)
	program.WaitLine("the end of the work", func(line string) bool { return line == "end" })
	return facts(t, program.Lines()), address
}

func fetch(t *testing.T, address, name string) *profile.Profile {
	t.Helper()
	response, err := http.Get("http://" + address + "/debug/pprof/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parsed, err := profile.Parse(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// leafIs tells whether the function is at the leaf of a stack: inlined frames count.
func leafIs(sample *profile.Sample, name string) bool {
	all := names(sample)
	return len(all) != 0 && all[0] == name
}

const heapRate = 4096

// estimate is what the samples of one round say of a site, with its variance: each of k samples was
// taken with probability p and stands for 1/p objects, so the variance is k(1-p)/p² objects.
type estimate struct{ bytes, variance float64 }

func (e *estimate) add(objects, size float64) {
	p := 1 - math.Exp(-size/heapRate)
	e.bytes += objects * size
	e.variance += objects * p * (1 - p) / (p * p) * size * size
}

func TestHeapEstimatesAreTrue(t *testing.T) {
	const rounds = 100
	truth, address := finished(t, "heap", []string{"PPROF_HEAP_RATE=" + strconv.Itoa(heapRate)}, strconv.Itoa(rounds))
	parsed := fetch(t, address, "heap")

	for _, site := range []string{"small_site", "middle_site", "large_site", "new_site"} {
		for kind, value := range map[string]int{"total": 0, "live": 2} {
			byRound := map[string]*estimate{}
			for _, sample := range parsed.Sample {
				// The allocator's own frames are cut: the site is the leaf.
				if round := strings.Join(sample.Label["round"], ""); round != "" && leafIs(sample, site) {
					if byRound[round] == nil {
						byRound[round] = &estimate{}
					}
					byRound[round].add(float64(sample.Value[value]), float64(sample.NumLabel["bytes"][0]))
				}
			}
			true_ := truth[site+":"+kind]
			inside, sum, variance := 0, 0.0, 0.0
			for _, e := range byRound {
				sum += e.bytes
				variance += e.variance
				// Where everything is sampled the interval is empty; an object's rounding is allowed.
				if math.Abs(e.bytes-true_) <= 1.96*math.Sqrt(e.variance)+0.005*true_ {
					inside++
				}
			}
			bias := sum/(rounds*true_) - 1
			t.Logf("%-11s %-5s true %9.0f bytes a round: %3d of %d inside their 95 %% interval, mean bias %+.2f %% (standard error %.2f)",
				site, kind, true_, inside, rounds, 100*bias, 100*math.Sqrt(variance)/(rounds*true_))
			// 95 are expected. The rounds' seeds are fixed: what holds once holds again.
			if inside < 90 {
				t.Errorf("%s %s: only %d of %d rounds inside their 95 %% interval", site, kind, inside, rounds)
			}
			if math.Abs(bias) > 0.01 {
				t.Errorf("%s %s: mean bias %+.2f %%", site, kind, 100*bias)
			}
		}
	}
}

func TestWaitsAreTrue(t *testing.T) {
	truth, address := finished(t, "locks", nil, "20")
	block, mutex := fetch(t, address, "block"), fetch(t, address, "mutex")
	delay := func(parsed *profile.Profile, function string) (sum float64) {
		for _, sample := range parsed.Sample {
			for _, name := range names(sample) {
				if name == function {
					sum += float64(sample.Value[1])
					break
				}
			}
		}
		return sum
	}
	check := func(what string, got, least, most float64) {
		t.Helper()
		t.Logf("%-28s program's clock %7.1f to %7.1f ms, profile %7.1f ms", what, least/1e6, most/1e6, got/1e6)
		if got < 0.95*least || got > 1.05*most {
			t.Errorf("%s: %.1f ms, the program says %.1f to %.1f ms", what, got/1e6, least/1e6, most/1e6)
		}
	}
	for _, kind := range []string{"mutex", "rwlock", "cond", "semaphore", "barrier", "join"} {
		check("block, "+kind+"_wait", delay(block, kind+"_wait"), truth[kind+":waited"], truth[kind+":waited"])
	}
	for _, kind := range []string{"mutex", "rwlock"} {
		check("mutex, "+kind+"_hold", delay(mutex, kind+"_hold"), truth[kind+":held_least"], truth[kind+":held_most"])
	}
}
