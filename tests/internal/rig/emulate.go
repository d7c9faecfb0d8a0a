// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"os/exec"
	"testing"
)

// Emulate lets the emulator start a program that was built for another machine (make ARCH=...), with
// the arguments that it has. Make names the emulator in EMULATOR.
func Emulate(command *exec.Cmd) {
	emulator := os.Getenv("EMULATOR")
	if emulator == "" {
		return
	}
	if path, err := exec.LookPath(emulator); err != nil {
		command.Err = err
	} else {
		command.Args = append([]string{emulator, "-0", command.Args[0], command.Path}, command.Args[1:]...)
		command.Path = path
	}
}

// SkipEmulated skips a test of something that the emulator does not do.
func SkipEmulated(t testing.TB, what string) {
	t.Helper()
	if emulator := os.Getenv("EMULATOR"); emulator != "" {
		t.Skipf("%s %s", emulator, what)
	}
}
