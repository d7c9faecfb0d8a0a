// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The commands of docs/access.md do what it says: the first makes a token, and the two of the second block get in.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(rig.Root(), "docs", "access.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 2 {
		t.Fatalf("blocks: %q", blocks)
	}
	folder := t.TempDir()
	shell := func(commands string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", commands)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "HOME="+folder, "PPROF_TMPDIR="+folder)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", commands, err, out)
		}
		return string(out)
	}
	first, _, _ := strings.Cut(blocks[0][1], "\n")
	shell(first)
	e := rig.StartExtproc(t, "PPROF_TOKEN_FILE="+filepath.Join(folder, "token"), "PPROF_AUTH_LOOPBACK=true")
	_, port, _ := net.SplitHostPort(e.Pprof)
	out := shell(strings.NewReplacer("HOST:6060", "127.0.0.1:"+port, "go tool pprof", pprofTool).Replace(blocks[1][1]))
	if !strings.Contains(out, "heap profile:") || !strings.Contains(out, "flat%") {
		t.Errorf("%s", out)
	}
}
