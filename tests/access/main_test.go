// SPDX-License-Identifier: Apache-2.0

// Who gets in, how much anyone may ask for, and what is written down about it.
//
// The tests run in a network namespace of their own, which the test binary makes by starting itself again: there,
// 192.0.2.1 is an address of the machine, and who connects to it comes from it. So there is a peer that is not
// loopback, and nothing leaves the namespace.

package access

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

const (
	otherPeer    = "192.0.2.1" // RFC 5737: nobody's
	insideMarker = "ACCESS_TEST_INSIDE"
)

var (
	noOtherPeer string // why there is none; empty: there is one
	pprofTool   string // what `go tool pprof` runs
)

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	if os.Getenv(insideMarker) == "" {
		code, err := runInside()
		if err == nil {
			return code
		}
		noOtherPeer = fmt.Sprintf("no network namespace: %v", err)
	} else if err := addOtherPeer(); err != nil {
		noOtherPeer = fmt.Sprintf("no second address: %v", err)
	}
	folder, err := os.MkdirTemp("", "access")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	pprofTool = filepath.Join(folder, "pprof")
	build := exec.Command("go", "build", "-o", pprofTool, "cmd/pprof")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, text)
		return 1
	}
	return m.Run()
}

// runInside runs this binary again in a new namespace, as root of a new user namespace where we are not root. An error
// means that it did not start.
func runInside() (code int, err error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideMarker+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if id := os.Geteuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	cmd.Wait()
	return cmd.ProcessState.ExitCode(), nil
}

// addOtherPeer brings up the namespace's loopback device and gives it the address.
func addOtherPeer() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	up := interfaceRequest{name: [16]byte{'l', 'o'}}
	up.data[0] = syscall.IFF_UP
	if err := up.do(fd, syscall.SIOCSIFFLAGS); err != nil {
		return err
	}
	address := interfaceRequest{name: [16]byte{'l', 'o', ':', '1'}}
	address.data[0] = syscall.AF_INET
	copy(address.data[4:], []byte{192, 0, 2, 1})
	return address.do(fd, syscall.SIOCSIFADDR)
}

// interfaceRequest is struct ifreq of netdevice(7).
type interfaceRequest struct {
	name [16]byte
	data [24]byte
}

func (r *interfaceRequest) do(fd int, command uintptr) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), command, uintptr(unsafe.Pointer(r))); e != 0 {
		return e
	}
	return nil
}
