// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/pprof/profile"

	"extproc/tests/internal/rig"
)

// What scrapers ask for by default, as their sources have it (Grafana Alloy's pyroscope.scrape, Parca, the
// OpenTelemetry Collector's pprof receiver): all their requests of one round at once.
var scrapers = []struct {
	agent   string
	targets []string
}{
	{"Alloy/v1.11.0", []string{"allocs", "block", "goroutine", "mutex", "profile?seconds=14"}},
	{"conprof/0.24.0", []string{"allocs", "block", "goroutine", "mutex", "profile?seconds=10"}},
	{"otelcol-contrib/0.140.0", []string{"profile?seconds=1"}},
}

// Two scrapers, a collector and an engineer at once: nobody locks another out, with a token each.
func TestScrapersAndEngineer(t *testing.T) {
	t.Parallel()
	host := otherPeer
	if noOtherPeer != "" {
		host = "127.0.0.1"
	}
	file := writeFile(t, "tokens", rotation)
	e := rig.StartExtproc(t, "PPROF_ADDRESS=:0", "PPROF_TOKEN_FILE="+file, "PPROF_AUTH_LOOPBACK=true")
	url := "http://" + at(e, host) + "/debug/pprof/"
	var running sync.WaitGroup
	for _, s := range scrapers {
		for _, target := range s.targets {
			running.Go(func() { scrape(t, url+target, s.agent) })
		}
	}
	// The engineer: a token as the password, from a shell.
	typed := strings.Replace(url, "http://", "http://any:"+oldToken+"@", 1)
	for _, target := range []string{"heap", "mutex", "goroutine", "profile?seconds=2"} {
		running.Go(func() {
			if out, err := runPprof(t.Context(), t, "-top", typed+target); err != nil || !strings.Contains(out, "flat%") {
				t.Errorf("%s: %v\n%s", target, err, out)
			}
		})
	}
	running.Wait()
	for _, l := range append(auditOf(t, e, "seconds=14"), auditOf(t, e, "seconds=2")...) {
		if want := map[int]string{14: "scraper", 2: "engineer"}[l.Seconds]; l.Token != want || l.Status != 200 {
			t.Errorf("%+v, want the token of the %s", l, want)
		}
	}
	if seconds := e.Metric("pprof_profiling_seconds_total"); seconds < 27 {
		t.Errorf("%v seconds of profiling, and these alone asked for 27", seconds)
	}
	if running := e.Metric("pprof_cpu_profiles_running") + e.Metric("pprof_timed_requests_running"); running != 0 {
		t.Errorf("%v still running", running)
	}
}

func scrape(t *testing.T, url, agent string) {
	headers := bearer(newToken)
	headers["User-Agent"] = agent
	status, _, body := ask{url: url, headers: headers}.do(t)
	if status != http.StatusOK {
		t.Errorf("%s, %s: %d: %.200s", agent, url, status, body)
		return
	}
	got, err := profile.Parse(bytes.NewReader(body))
	if err == nil {
		err = got.CheckValid()
	}
	if err != nil {
		t.Errorf("%s, %s: %v", agent, url, err)
	}
}

// One timed profile more than there may be is told to come again, and Go's own error stays Go's.
func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	e := rig.StartExtproc(t, "PPROF_TIMED_REQUESTS=3", "PPROF_CPU_WINDOWS=2", "PPROF_MAX_SECONDS=60")
	url := "http://" + e.Pprof + "/debug/pprof/"
	ctx := t.Context()
	begin := func(target string) {
		request, _ := http.NewRequestWithContext(ctx, "GET", url+target, nil)
		go http.DefaultTransport.RoundTrip(request)
	}
	begin("profile?seconds=60")
	begin("profile?seconds=60")
	waitRunning(t, e, 2)
	if status, _, body := (ask{url: url + "profile?seconds=1"}).do(t); status != 500 ||
		string(body) != "Could not enable CPU profiling: cpu profiling already in use\n" {
		t.Errorf("a third CPU profile: %d %q", status, body)
	}
	begin("mutex?seconds=30")
	waitRunning(t, e, 3)
	status, headers, body := ask{url: url + "heap?seconds=1"}.do(t)
	retry := 0
	fmt.Sscan(headers.Get("Retry-After"), &retry)
	if status != 429 || retry < 1 || retry > 30 || !strings.Contains(string(body), "PPROF_TIMED_REQUESTS") ||
		headers.Get("X-Go-Pprof") != "1" {
		t.Errorf("a fourth: %d %v %q", status, headers, body)
	}
	if status, _, _ := (ask{url: url + "heap"}).do(t); status != 200 {
		t.Errorf("what takes no time: %d", status)
	}
	for _, target := range []string{"heap?seconds=61", "profile?seconds=61", "profile?seconds=9223372036854775807"} {
		status, _, body := ask{url: url + target}.do(t)
		if status != 400 || !strings.Contains(string(body), "over the limit of 60: PPROF_MAX_SECONDS") {
			t.Errorf("%s: %d %q", target, status, body)
		}
	}
	if busy := e.Metric(`pprof_refused_total{reason="busy"}`); busy != 2 {
		t.Errorf("%v were told that it is busy, want 2", busy)
	}
}

func waitRunning(t *testing.T, e *rig.Extproc, count float64) {
	t.Helper()
	rig.Eventually(t, func() string {
		if running := e.Metric("pprof_timed_requests_running"); running != count {
			return fmt.Sprintf("%v running, want %v", running, count)
		}
		return ""
	})
}
