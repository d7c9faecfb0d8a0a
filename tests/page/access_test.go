// SPDX-License-Identifier: Apache-2.0

package page

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

// What is refused, in a real Chromium: access.mjs.
func TestAccessInTheBrowser(t *testing.T) {
	const token = "browser-token-0123456789"
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("browser:"+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	extproc := rig.StartExtproc(t, "PPROF_TOKEN_FILE="+file, "PPROF_AUTH_LOOPBACK=true")
	tools, err := exec.Command("./tools.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("node", "--test-reporter=tap", "access.mjs")
	command.Env = append(os.Environ(), "TOKEN="+token, "PLAYWRIGHT="+strings.TrimSpace(string(tools)),
		"URL_UNDER_TEST=http://"+extproc.Pprof+"/debug/pprof/")
	runTAP(t, command)
	audit := strings.Join(extproc.Lines(), "\n")
	for _, site := range []string{"cross-site", "same-site"} {
		for _, from := range []string{"image", "frame", "script", "fetch", "link"} {
			line := regexp.MustCompile(`.*"query":"[^"]*from=`+from+`&of=`+site+`".*`).FindAllString(audit, -1)
			refused := func(text string) bool { return strings.Contains(text, `"status":403,"refused":"cross_site"`) }
			if len(line) == 0 || slices.ContainsFunc(line, func(text string) bool { return !refused(text) }) {
				t.Errorf("%s, %s: want it refused: %q", site, from, line)
			}
		}
	}
	if extproc.Metric(`pprof_refused_total{reason="no_token"}`) == 0 || extproc.Metric(`pprof_refused_total{reason="host"}`) == 0 {
		t.Errorf("nothing was refused for want of a token, or for its name")
	}
}
