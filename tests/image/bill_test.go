// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"extproc/tests/image/scan"
	"extproc/tests/internal/rig"
)

// bills are the files beside the images.
func bills(t *testing.T) []string {
	t.Helper()
	folders := made(t)
	found, _ := filepath.Glob(filepath.Join(folders[0], "image", "*.spdx.json"))
	if len(found) != 2 {
		t.Fatalf("bills of materials: %q", found)
	}
	return found
}

func validate(files ...string) (string, error) {
	tools, err := exec.Command(filepath.Join(rig.Root(), "image/linked/spdx-tools.sh")).Output()
	if err != nil {
		return "", err
	}
	command := exec.Command(filepath.Join(rig.Root(), "image/linked/validate.py"), files...)
	command.Env = append(os.Environ(), "PYTHONPATH="+strings.TrimSpace(string(tools)))
	output, err := command.CombinedOutput()
	return string(output), err
}

func TestBillsOfMaterialsAreValid(t *testing.T) {
	if output, err := validate(bills(t)...); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

func TestValidatorSeesALicenceThatIsNone(t *testing.T) {
	data, err := os.ReadFile(bills(t)[1])
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.spdx.json")
	data = []byte(strings.ReplaceAll(string(data), `"Zlib"`, `"Zlibb"`))
	if err := os.WriteFile(bad, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := validate(bad); err == nil || !strings.Contains(output, "Zlibb") {
		t.Errorf("%v: %s", err, output)
	}
}

func TestBillsBesideTheImageAreThoseInIt(t *testing.T) {
	var inside []string
	_, twin := open(t, "extproc-debug.tar")
	for _, found := range twin.Files() {
		if strings.HasSuffix(found.Name, ".spdx.json") {
			inside = append(inside, scan.Digest(found.Data))
		}
	}
	for _, file := range bills(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(inside, scan.Digest(data)) {
			t.Errorf("%s is not in the image", filepath.Base(file))
		}
	}
}

// The lock says what may be linked; this program has a use for all of it.
func TestBillNamesWhatTheLocksName(t *testing.T) {
	for _, file := range bills(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var read scan.Bill
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, part := range read.Packages {
			names = append(names, part.Name)
			if len(part.Checksums) != 1 || part.VersionInfo == "" {
				t.Errorf("%s: %s %q, checksums %q", filepath.Base(file), part.Name, part.VersionInfo, part.Checksums)
			}
		}
		slices.Sort(names)
		want := []string{"busybox", "libgcc-12-dev", "musl"}
		if strings.HasPrefix(filepath.Base(file), "extproc") {
			want = append(lockedNames(t), "extproc", "libgcc-12-dev", "libstdc++-12-dev")
			slices.Sort(want)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: parts %q, want %q", filepath.Base(file), names, want)
		}
	}
}

// lockedNames are the rows of dependencies.lock that are for the program.
func lockedNames(t *testing.T) (names []string) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(rig.Root(), "image", "dependencies.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile(`(?m)^(\S+) .* debian-source$`).FindAllStringSubmatch(string(lock), -1) {
		if row[1] != "cmocka" && row[1] != "busybox" {
			names = append(names, row[1])
		}
	}
	return names
}

func TestPartThatNoLockNamesIsRefused(t *testing.T) {
	folders := made(t)
	real, err := os.ReadFile(filepath.Join(folders[0], "release/extproc.map"))
	if err != nil {
		t.Fatal(err)
	}
	for stranger, piece := range map[string]string{
		"/usr/lib/libstrange.a(strange.o)": " .text          0x0000000000499000       0x10 ",
		"/usr/lib/strange.o":               " .text.of_a_long_name\n                0x0000000000499000       0x10 ",
	} {
		strange := filepath.Join(folders[0], "release/strange.map")
		text := string(real) + "\n.text           0x0000000000400010    0x9f3f3\n" + piece + stranger + "\n"
		if err := os.WriteFile(strange, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		output, err := assemble(folders[0], strange, t.TempDir()).CombinedOutput()
		if err == nil || !strings.Contains(string(output), stranger+" is in the program, and neither") {
			t.Errorf("%s: %v: %s", stranger, err, output)
		}
	}
}
