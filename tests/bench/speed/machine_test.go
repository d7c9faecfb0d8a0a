// SPDX-License-Identifier: Apache-2.0

package speed

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// machine is what its processors have done so far.
type machine struct {
	busy, stolen time.Duration // for anybody; what the host took while there was something to do
	own          time.Duration // for this process and those of its children that have ended
}

// watchMachine says at the end how much of the processors went to others: figures of a machine that had something
// else to do are good for ratios at most, and its p99s for nothing.
func watchMachine(b *testing.B) {
	before, start := readMachine(b), time.Now()
	b.Cleanup(func() { // the last of all: the servers have ended
		after, elapsed := readMachine(b), time.Since(start)
		others := (after.busy - before.busy) - (after.own - before.own)
		fmt.Printf("\nmeanwhile others had %.2f processors, the host took %.2f\n",
			max(0, others.Seconds()/elapsed.Seconds()), (after.stolen-before.stolen).Seconds()/elapsed.Seconds())
	})
}

func readMachine(t testing.TB) machine {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	busy, stolen := parseStat(string(text))
	var self, children unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &self)
	unix.Getrusage(unix.RUSAGE_CHILDREN, &children)
	own := self.Utime.Nano() + self.Stime.Nano() + children.Utime.Nano() + children.Stime.Nano()
	return machine{busy, stolen, time.Duration(own)}
}

// parseStat reads the line of all processors: user nice system idle iowait irq softirq steal, in hundredths of a second.
func parseStat(text string) (busy, stolen time.Duration) {
	line, _, _ := strings.Cut(text, "\n")
	for i, field := range strings.Fields(line) {
		ticks, _ := strconv.Atoi(field)
		switch i {
		case 1, 2, 3, 6, 7:
			busy += time.Duration(ticks) * 10 * time.Millisecond
		case 8:
			stolen += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return busy, stolen
}

func TestStatIsRead(t *testing.T) {
	busy, stolen := parseStat("cpu  100 20 3 4000 500 6 7 80 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if busy != 1360*time.Millisecond || stolen != 800*time.Millisecond {
		t.Errorf("busy for %v and stolen %v, want 1.36 s and 0.8 s", busy, stolen)
	}
}
