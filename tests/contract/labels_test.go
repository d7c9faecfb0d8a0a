// SPDX-License-Identifier: Apache-2.0

// What a thread works on, as labels of its samples: Go programs set them with pprof.Do, ours for each request.

package contract

import (
	"regexp"
	"testing"
	"time"

	traffic "extproc/tests/internal/load"
)

func TestLabelsSayWhatWasWorkedOn(t *testing.T) {
	ours := startOurs(t, oftenSampled)
	ended := make(chan error, 1)
	go func() {
		_, err := traffic.Run(traffic.Options{
			Address: ours.address(t, "grpc"), Kind: "1k", Streams: 16, Duration: 3 * time.Second, CPU: -1})
		ended <- err
	}()
	url := "http://" + ours.pprofAddress + "/debug/pprof/"
	for _, asked := range [][2]string{{"profile?seconds=2", "cpu"}, {"heap", "alloc_space"}} {
		name := asked[0]
		tags, _ := runPprof(t, "-tags", "-sample_index="+asked[1], url+name)
		for _, want := range []string{
			`(?m)^ *model: Total .*\n.*: ` + traffic.Model + `$`, `(?m)^ *operation: Total .*\n.*: chat$`,
		} {
			if !regexp.MustCompile(want).MatchString(tags) {
				t.Errorf("%s: no %s in\n%s", name, want, tags)
			}
		}
	}
	// What decodes a message works for the model; what reads the socket does not know it yet.
	focused, _ := runPprof(t, "-top", "-nodecount=1000", "-sample_index=alloc_space", "-tagfocus", "model="+traffic.Model, url+"heap")
	if !regexp.MustCompile(`(?m) process_stream_receive$`).MatchString(focused) {
		t.Errorf("-tagfocus: no process_stream_receive in\n%s", focused)
	}
	if regexp.MustCompile(`(?m) (main|connection_open)$`).MatchString(focused) {
		t.Errorf("-tagfocus: what is not the model's is in\n%s", focused)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
