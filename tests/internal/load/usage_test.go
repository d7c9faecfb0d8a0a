// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// waitUntilAsleep waits until a process waits for something, and fails after half a minute.
func waitUntilAsleep(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(rest, "S") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not wait: %s", stat)
		}
	}
}

func TestUsageCountsEachWait(t *testing.T) {
	cat := exec.Command("cat")
	input, _ := cat.StdinPipe()
	output, _ := cat.StdoutPipe()
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	defer cat.Wait()
	defer input.Close()
	const lines = 20
	echoes := bufio.NewReader(output)
	waitUntilAsleep(t, cat.Process.Pid)
	before := UsageOf(cat.Process.Pid)
	for range lines {
		io.WriteString(input, "awake\n")
		if _, err := echoes.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		waitUntilAsleep(t, cat.Process.Pid)
	}
	used := UsageOf(cat.Process.Pid).Since(before)
	if used.Sleeps < lines || used.Sleeps > 2*lines {
		t.Errorf("%d sleeps for %d lines", used.Sleeps, lines)
	}
	if used.CPU <= 0 || used.CPU > time.Second {
		t.Errorf("%v of processor time for %d lines", used.CPU, lines)
	}
}

func TestUsageOfNobodyIsNothing(t *testing.T) {
	if used := UsageOf(0); used != (Usage{}) {
		t.Errorf("%v, want nothing", used)
	}
}
