// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"extproc/tests/internal/rig"
)

// All other tests run with the sandbox on, too: it is the default, and rig.Start looks whether a call
// was refused.
func TestSandboxIsInForce(t *testing.T) {
	rig.SkipEmulated(t, "has no filter of system calls")
	for _, mode := range []struct{ setting, seccomp, privileges string }{
		{"", "2", "1"}, {"required", "2", "1"}, {"off", "0", "0"},
	} {
		t.Run(mode.setting, func(t *testing.T) {
			var settings []string
			if mode.setting != "" {
				settings = append(settings, "EXTPROC_SANDBOX="+mode.setting)
			}
			extproc := rig.StartExtproc(t, settings...)
			if status, _ := extproc.GetPprof("profile?seconds=1"); status != 200 {
				t.Errorf("a profile is answered with %d", status)
			}
			// Each thread, those of servers and workers too.
			threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", extproc.Pid()))
			if err != nil || len(threads) < 4 {
				t.Fatalf("%d threads: %v", len(threads), err)
			}
			for _, thread := range threads {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", extproc.Pid(), thread.Name()))
				if os.IsNotExist(err) {
					continue
				}
				for field, want := range map[string]string{"Seccomp": mode.seccomp, "NoNewPrivs": mode.privileges} {
					found := regexp.MustCompile(`(?m)^` + field + `:\t(.*)$`).FindSubmatch(text)
					if found == nil || string(found[1]) != want {
						t.Errorf("thread %s: %s is %q, want %s", thread.Name(), field, found, want)
					}
				}
			}
		})
	}
}
