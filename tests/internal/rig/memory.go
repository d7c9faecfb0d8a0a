// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// MemoryGroup makes a control group whose memory is limited, of whichever version the machine has. The
// test is skipped where none can be made.
func MemoryGroup(t testing.TB, bytes int) (folder, usageFile string) {
	t.Helper()
	for _, version := range []struct{ root, limit, usage string }{
		{"/sys/fs/cgroup", "memory.max", "memory.current"},
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
	} {
		// With version 1 the first root is a plain folder.
		if _, err := os.Stat(filepath.Join(version.root, "cgroup.procs")); err != nil {
			continue
		}
		folder, err := os.MkdirTemp(version.root, "extproc-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() {
			Eventually(t, func() string {
				if err := os.Remove(folder); err != nil {
					return err.Error()
				}
				return ""
			})
		})
		if os.WriteFile(filepath.Join(folder, version.limit), []byte(strconv.Itoa(bytes)), 0) == nil {
			return folder, filepath.Join(folder, version.usage)
		}
	}
	t.Skip("no control group with a memory limit can be made here")
	return "", ""
}

// StartExtprocIn is StartExtproc in a control group.
func StartExtprocIn(t testing.TB, group string, settings ...string) *Extproc {
	t.Helper()
	e := &Extproc{Program: Start(t, "extproc", "/bin/sh", []string{
		"-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group, ExtprocPath(t),
	}, append(FreePorts(), settings...))}
	e.GRPC = e.waitListening("grpc")
	e.Admin = e.waitListening("admin")
	e.Pprof = e.waitListening("pprof")
	return e
}
