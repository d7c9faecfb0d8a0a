// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// makeKit is the path of the kit, which is made in the first folder.
var makeKit = sync.OnceValues(func() (string, error) {
	folders, err := makeTwice()
	if err == nil {
		err = makes("relink-kit", folders[0])
	}
	if err != nil {
		return "", err
	}
	kits, _ := filepath.Glob(filepath.Join(folders[0], "image", "extproc-relink-*.tar.gz"))
	if len(kits) != 1 {
		return "", fmt.Errorf("kits: %q", kits)
	}
	return kits[0], nil
})

// The LGPL's promise: who changes the library gets a program with the change in it. (`make relink-kit`
// itself sees that without a change the program is the same.)
func TestRelinkKitTakesAChangedLibrary(t *testing.T) {
	packed, err := makeKit()
	if err != nil {
		t.Fatal(err)
	}
	kit := t.TempDir()
	if output, err := exec.Command("tar", "-xf", packed, "-C", kit).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	library := filepath.Join(kit, "lib", "libmicrohttpd.a")
	data, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	before, after := []byte("Internal server error"), []byte("INTERNAL server error")
	if !bytes.Contains(data, before) {
		t.Fatalf("no %q in the library: choose another text to change", before)
	}
	if err := os.WriteFile(library, bytes.ReplaceAll(data, before, after), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "extproc")
	if output, err := exec.Command(filepath.Join(kit, "relink"), program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if data, err = os.ReadFile(program); err != nil || !bytes.Contains(data, after) {
		t.Errorf("the change is not in the program: %v", err)
	}
	if output, err := exec.Command(program, "--version").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}
