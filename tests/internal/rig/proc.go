// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Listening are the TCP addresses on which a process listens, read from the kernel's tables by the
// inodes of its sockets; those given in only, if any.
func Listening(t testing.TB, pid int, only ...string) []string {
	t.Helper()
	sockets := map[string]bool{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		target, _ := os.Readlink(link) // one that was closed meanwhile is not listening
		if inode, is := strings.CutPrefix(target, "socket:["); is {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var found []string
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil && table == "tcp" {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st ... inode is the tenth; 0A is LISTEN.
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != "0A" || !sockets[fields[9]] {
				continue
			}
			address := kernelAddress(t, fields[1])
			if len(only) == 0 || slices.Contains(only, address) {
				found = append(found, address)
			}
		}
	}
	slices.Sort(found)
	return found
}

// kernelAddress reads 0100007F:17AC: words in host byte order, here little-endian.
func kernelAddress(t testing.TB, text string) string {
	t.Helper()
	address, port, _ := strings.Cut(text, ":")
	bytes, err := hex.DecodeString(address)
	if err != nil {
		t.Fatal(err)
	}
	for word := range slices.Chunk(bytes, 4) {
		slices.Reverse(word)
	}
	var number int
	if _, err := fmt.Sscanf(port, "%X", &number); err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(net.IP(bytes).String(), fmt.Sprint(number))
}

// ThreadNames are the names of a process's threads, sorted.
func (p *Program) ThreadNames() []string {
	p.t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", p.Pid()))
	var names []string
	for _, file := range files {
		if name, err := os.ReadFile(file); err == nil {
			names = append(names, strings.TrimSpace(string(name)))
		}
	}
	slices.Sort(names)
	return names
}

// Timers is what the kernel lists of the process's POSIX timers.
func (p *Program) Timers() string {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/timers", p.Pid()))
	if err != nil {
		p.t.Fatalf("%v (the kernel needs CONFIG_CHECKPOINT_RESTORE, which Debian's has)", err)
	}
	return string(text)
}
