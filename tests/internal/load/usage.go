// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU time.Duration // user and system
	// Sleeps is how often a thread of it waited for something, and so had to be woken: where requests are
	// few at a time, the kernel's part in that is most of what a request costs.
	Sleeps int
}

// UsageOf reads it; nothing for pid 0.
func UsageOf(pid int) Usage {
	if pid == 0 {
		return Usage{}
	}
	return Usage{CPU: processTime(pid), Sleeps: sleeps(pid)}
}

// Since is what was used after before.
func (u Usage) Since(before Usage) Usage {
	return Usage{CPU: u.CPU - before.CPU, Sleeps: u.Sleeps - before.Sleeps}
}

// processTime is to the nanosecond.
func processTime(pid int) time.Duration {
	// What clock_getcpuclockid makes of a process id: its bits inverted, and 2 for "scheduled time".
	var now unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|2), &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

func sleeps(pid int) (count int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, status := range threads {
		text, _ := os.ReadFile(status)
		_, rest, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:\t")
		number, _, _ := strings.Cut(rest, "\n")
		switches, _ := strconv.Atoi(number)
		count += switches
	}
	return count
}
