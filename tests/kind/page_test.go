// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Who is called at 3 am has a browser and the port forwarded: tests/page goes through the page in a
// real Chromium, which leaves pictures in the build folder. Requests come through a forward, too.
func TestPageInABrowser(t *testing.T) {
	timed(t)
	for _, program := range []string{"chromium", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			show("the page is not looked at: there is no %s", program)
			t.Skip(err)
		}
	}
	n := newNamespace(t)
	r := release{n, "helm"}
	r.install("--set extProc.replicaCount=1")
	keepUnderLoad(r.startForward("kubectl port-forward deployment/" + deployment + " :1063"))

	f := r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
	pictures := filepath.Join(os.Getenv("KIND_FOLDER"), "page")
	browse := exec.Command("../page/browse.sh", f.url+"/debug/pprof/", pictures)
	output, err := browse.CombinedOutput()
	passed := regexp.MustCompile(`(?m)^ok `).FindAll(output, -1)
	if err != nil || len(passed) == 0 {
		t.Errorf("%v: %s", err, output)
	}
	show("the page in Chromium: %d tests passed, pictures in %s", len(passed), pictures)
}

// keepUnderLoad sends small requests, which carry labels, and large ones, which make a function hot,
// until the test ends.
func keepUnderLoad(f *forward) {
	f.t.Helper()
	script := `while :; do for kind in "1k --requests 50" "1m --requests 4"; do
		"$0" --address "$1" --streams 2 --kind $kind > /dev/null || exit 1; done; sleep 0.05; done`
	load := exec.Command("sh", "-c", script, filepath.Join(os.Getenv("KIND_BUILD"), "tests/bench/load"),
		strings.TrimPrefix(f.url, "http://"))
	load.Stderr = f.output
	if err := load.Start(); err != nil {
		f.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- load.Wait() }()
	f.t.Cleanup(func() {
		select {
		case err := <-ended:
			f.t.Errorf("the load ended before the test: %v: %s", err, f.output)
		default:
			load.Process.Kill()
			<-ended
		}
	})
}
