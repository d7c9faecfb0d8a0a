// SPDX-License-Identifier: Apache-2.0

// Package image answers: is the image what a cluster's owner may expect, and the same bytes each
// time it is made? Needs no engine: it reads the archives themselves.
package image

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"extproc/tests/image/scan"
	"extproc/tests/internal/rig"
)

const (
	name    = "localhost/tests/extproc"
	version = "test"
	epoch   = 1767225600
)

var makeTwice = sync.OnceValues(func() (folders [2]string, err error) {
	for i := range folders {
		if folders[i], err = os.MkdirTemp("", "image-test-"); err != nil {
			return folders, err
		}
		if err = makes("image", folders[i]); err != nil {
			return folders, err
		}
	}
	return folders, nil
})

// made are the two folders that `make image` was called for, each with nothing there before.
func made(t *testing.T) [2]string {
	t.Helper()
	folders, err := makeTwice()
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// makes calls make for a target in a folder.
func makes(target, folder string, settings ...string) error {
	command := exec.Command("make", append([]string{"--no-print-directory", "-C", rig.Root(), target,
		"BUILD=" + folder, "VERSION=" + version, "IMAGE=" + name}, settings...)...)
	command.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1767225600", "MAKEFLAGS=", "MAKELEVEL=")
	if output, err := command.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(output)))
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	folders, _ := makeTwice()
	for _, folder := range folders {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

// open reads an archive of the first folder, and the one image in it.
func open(t *testing.T, file string) (scan.Archive, *scan.Image) {
	t.Helper()
	folders := made(t)
	archive, err := scan.OpenArchive(filepath.Join(folders[0], "image", file))
	if err != nil {
		t.Fatal(err)
	}
	images, err := archive.Images()
	if err != nil || len(images) != 1 {
		t.Fatalf("%s: %d images, %v", file, len(images), err)
	}
	return archive, images[0]
}

func TestTwoBuildsInDifferentFoldersGiveTheSameBytes(t *testing.T) {
	folders := made(t)
	for _, file := range []string{"image/extproc.tar", "image/extproc-debug.tar"} {
		var digests []string
		for _, folder := range folders {
			data, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, scan.Digest(data))
		}
		if digests[0] != digests[1] {
			t.Errorf("%s is %s and %s", file, digests[0], digests[1])
		}
	}
}

func TestImageKeepsItsPromises(t *testing.T) {
	folders := made(t)
	scan.Machine = append([]string{rig.Root(), os.Getenv("CACHE")}, folders[:]...)
	row := func(check scan.Check, _ string, err error) {
		if err != nil {
			t.Errorf("%s: %v", check.Promise, err)
		}
	}
	_, product := open(t, "extproc.tar")
	_, twin := open(t, "extproc-debug.tar")
	scan.Product(product, row)
	scan.Twin(twin, row)
	if _, err := scan.Differences(product, twin); err != nil {
		t.Error(err)
	}
	if !slices.Equal(twin.Settings.Env, []string{"PATH=/busybox"}) {
		t.Errorf("the twin's environment is %q", twin.Settings.Env)
	}
}

func TestDockersManifestNamesTheSameBlobs(t *testing.T) {
	for file, tag := range map[string]string{"extproc.tar": version, "extproc-debug.tar": version + "-debug"} {
		archive, image := open(t, file)
		var manifest []struct {
			RepoTags []string
			Layers   []string
		}
		if err := json.Unmarshal(archive["manifest.json"].Data, &manifest); err != nil {
			t.Fatal(err)
		}
		var layers, want []string
		for _, layer := range manifest[0].Layers {
			layers = append(layers, scan.Digest(archive[layer].Data))
		}
		for _, layer := range image.Layers {
			want = append(want, layer.Digest)
		}
		if !slices.Equal(layers, want) {
			t.Errorf("%s: layers %v, in the OCI manifest %v", file, layers, want)
		}
		if want := []string{name + ":" + tag}; !slices.Equal(manifest[0].RepoTags, want) {
			t.Errorf("%s: is called %v, want %v", file, manifest[0].RepoTags, want)
		}
	}
}

func TestConfigNamesPortsUserAndCompiler(t *testing.T) {
	for _, file := range []string{"extproc.tar", "extproc-debug.tar"} {
		_, image := open(t, file)
		if image.Settings.User != "65532:65532" {
			t.Errorf("%s: user %q", file, image.Settings.User)
		}
		ports := slices.Sorted(maps.Keys(image.Settings.ExposedPorts))
		if !slices.Equal(ports, []string{"1063/tcp", "1064/tcp", "6060/tcp"}) {
			t.Errorf("%s: ports %q", file, ports)
		}
		if !strings.Contains(image.Settings.Labels["extproc.compiler"], "libgcc-12-dev ") {
			t.Errorf("%s: made by the compiler %q", file, image.Settings.Labels["extproc.compiler"])
		}
	}
}

func TestLayersAreSortedAndOfTheGivenDate(t *testing.T) {
	_, image := open(t, "extproc-debug.tar")
	for _, layer := range image.Layers {
		var names []string
		for _, found := range layer.Files {
			names = append(names, strings.TrimSuffix(found.Name, "/"))
			if found.Uname != "" || found.Gname != "" || !found.ModTime.Equal(time.Unix(epoch, 0)) {
				t.Errorf("%s is of %q %q, of %v", found.Name, found.Uname, found.Gname, found.ModTime)
			}
		}
		if !slices.IsSorted(names) {
			t.Errorf("%q", names)
		}
	}
}

// assemble is the command that puts the image of what was made in a folder into another one.
func assemble(folder, linkmap, out string) *exec.Cmd {
	return exec.Command("python3", filepath.Join(rig.Root(), "image/oci/extproc.py"),
		"--program", filepath.Join(folder, "extproc"), "--map", linkmap,
		"--busybox", filepath.Join(folder, "busybox"),
		"--sources", filepath.Join(os.Getenv("CACHE"), "sources"),
		"--name", name, "--version", version, "--out", out)
}

func TestAnotherCompilerIsSaid(t *testing.T) {
	folders := made(t)
	// Both commands as a machine with another gcc would have them.
	other := t.TempDir()
	script := "#!/bin/sh\necho 99.9\n"
	for _, name := range []string{"dpkg-query", "gcc"} {
		if err := os.WriteFile(filepath.Join(other, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command := assemble(folders[0], filepath.Join(folders[0], "release/extproc.map"), other)
	command.Env = append(os.Environ(), "PATH="+other+":"+os.Getenv("PATH"))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, name := range []string{"gcc", "gcc-12", "libstdc++-12-dev"} {
		if !strings.Contains(string(output), "warning: "+name+" is 99.9 here and ") {
			t.Errorf("nothing about %s in:\n%s", name, output)
		}
	}
}
