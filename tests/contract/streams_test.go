// SPDX-License-Identifier: Apache-2.0

// streams: Envoy's streams in flight, a profile of the kind that Go programs add for themselves (NewProfile). Unlike
// Go's, it has differences: Go answers 400 to seconds= of such a profile.

package contract

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// openStream begins a call of the external processor and says nothing on it until the end of the test.
func openStream(t *testing.T, p *program) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	body, writer := io.Pipe()
	t.Cleanup(func() { cancel(); writer.Close(); <-ended })
	url := "http://" + p.address(t, "grpc") + "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
	request, err := http.NewRequestWithContext(ctx, "POST", url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	go func() {
		defer close(ended)
		defer transport.CloseIdleConnections()
		if answer, err := transport.RoundTrip(request); err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	}()
}

func streamCount(p *profile.Profile) (count int64) {
	for _, s := range p.Sample {
		count += s.Value[0]
	}
	return count
}

// waitForStreams asks until the profile counts so many.
func waitForStreams(t *testing.T, p *program, want int64) taken {
	t.Helper()
	for deadline := time.Now().Add(hangs); ; time.Sleep(5 * time.Millisecond) {
		got := takeSnapshot(t, p, "streams")
		if streamCount(got.Profile) == want {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d streams, want %d", streamCount(got.Profile), want)
		}
	}
}

func TestStreamsAreAProfile(t *testing.T) {
	ours := startOurs(t)
	for deadline := time.Now().Add(hangs); ask(t, ours.pprofAddress, get("/debug/pprof/streams")).status == 404; {
		if time.Now().After(deadline) { // it comes with the gRPC server, a moment after pprof's
			t.Fatal("there is no such profile")
		}
	}
	waitForStreams(t, ours, 0)
	t.Run("open", func(t *testing.T) {
		for range 3 {
			openStream(t, ours)
		}
		got := waitForStreams(t, ours, 3)
		if types := typesOf(got.Profile); types != `streams/count age/nanoseconds | streams/count 1 | default "streams"` {
			t.Errorf("types: %s", types)
		}
		if err := got.CheckValid(); err != nil || !got.isStampedBetween() || got.DurationNanos != 0 {
			t.Errorf("%v, taken %d, duration %d", err, got.TimeNanos, got.DurationNanos)
		}
		if name := got.answer.value("Content-Disposition"); name != `attachment; filename="streams"` {
			t.Errorf("Content-Disposition: %s", name)
		}
		for _, s := range got.Sample {
			if len(s.Location) == 0 || s.Value[1] <= 0 || s.Value[1] > s.Value[0]*hangs.Nanoseconds() {
				t.Errorf("sample: %v", s)
			}
		}
		for _, row := range readIndex(t, ask(t, ours.pprofAddress, get("/debug/pprof/"))) {
			if row.name == "streams" && row.count != "3" {
				t.Errorf("the index counts %s", row.count)
			}
		}
		text := string(ask(t, ours.pprofAddress, get("/debug/pprof/streams?debug=1")).body)
		form := regexp.MustCompile(`^streams profile: total 3\n# streams/count age/nanoseconds\n3 [1-9]\d* @\n(# labels: .*\n)?#\t[a-z]`)
		if !form.MatchString(text) {
			t.Errorf("text: %q", text)
		}
		// Names have no addresses: the tool has to refuse them, not to show what it takes for unknown code.
		refused := pprofCommand(t, "-top", "http://"+ours.pprofAddress+"/debug/pprof/streams?debug=1")
		if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "malformed") {
			t.Errorf("pprof reads the text: %v\n%s", err, out)
		}
		dump := string(ask(t, ours.pprofAddress, get("/debug/pprof/goroutine?debug=2")).body)
		if count := strings.Count(dump, "\nstream ["); count != 3 {
			t.Errorf("%d streams after the threads of the dump:\n%s", count, dump)
		}
		url := "http://" + ours.pprofAddress + "/debug/pprof/streams"
		top, complaints := runPprof(t, "-top", "-sample_index=streams", url)
		if !strings.Contains(top, "awaiting") || strings.Contains(complaints, "symbol") {
			t.Errorf("top: %s\n%s", complaints, top)
		}
		delta := takeSnapshot(t, ours, "streams?seconds=1")
		name := delta.answer.value("Content-Disposition")
		if streamCount(delta.Profile) != 0 || name != `attachment; filename="streams-delta"` {
			t.Errorf("a difference without change: %v", delta.Profile)
		}
	})
	waitForStreams(t, ours, 0)
}
