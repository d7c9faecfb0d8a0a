// SPDX-License-Identifier: Apache-2.0

// Package image answers: is the image what a cluster's owner may expect, and the same bytes each
// time it is made? Needs no engine: it reads the archives themselves.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

const (
	name    = "localhost/tests/extproc"
	version = "test"
	user    = 65532
	epoch   = 1767225600
)

// made holds the two folders that `make image` was called for, each with nothing there before.
var made = sync.OnceValues(func() (folders [2]string, err error) {
	for i := range folders {
		if folders[i], err = os.MkdirTemp("", "image-test-"); err != nil {
			return folders, err
		}
		command := exec.Command("make", "--no-print-directory", "-C", rig.Root(), "image",
			"BUILD="+folders[i], "VERSION="+version, "IMAGE="+name)
		command.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1767225600", "MAKEFLAGS=", "MAKELEVEL=")
		if output, failed := command.CombinedOutput(); failed != nil {
			return folders, errors.Join(failed, errors.New(string(output)))
		}
	}
	return folders, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	folders, _ := made()
	for _, folder := range folders {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

type member struct {
	*tar.Header
	data []byte
}

func untar(t *testing.T, data []byte) []member {
	t.Helper()
	var members []member
	for reader := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, member{header, content})
	}
}

// archive is one image, as read from its file.
type archive struct {
	t       *testing.T
	members map[string]member
	config  struct {
		Architecture, OS string
		Config           struct {
			User         string
			Entrypoint   []string
			Env          []string
			ExposedPorts map[string]struct{}
			Labels       map[string]string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	layerDigests []string
	layers       [][]member
}

type descriptor struct {
	Digest      string
	Size        int64
	Annotations map[string]string
}

func (a *archive) file(path string) []byte {
	a.t.Helper()
	found, exists := a.members[path]
	if !exists {
		a.t.Fatalf("no %s in the archive", path)
	}
	return found.data
}

func (a *archive) decode(data []byte, into any) {
	a.t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		a.t.Fatalf("%v in %s", err, data)
	}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (a *archive) blob(described descriptor) []byte {
	a.t.Helper()
	data := a.file("blobs/" + strings.Replace(described.Digest, ":", "/", 1))
	if digestOf(data) != described.Digest || int64(len(data)) != described.Size {
		a.t.Fatalf("%v describes %s, %d bytes", described, digestOf(data), len(data))
	}
	return data
}

func open(t *testing.T, file string) *archive {
	t.Helper()
	folders, err := made()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(folders[0], "image", file))
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{t: t, members: map[string]member{}}
	for _, found := range untar(t, data) {
		a.members[found.Name] = found
	}
	var layout struct{ ImageLayoutVersion string }
	if a.decode(a.file("oci-layout"), &layout); layout.ImageLayoutVersion != "1.0.0" {
		t.Fatalf("layout %q", layout.ImageLayoutVersion)
	}
	var index struct{ Manifests []descriptor }
	a.decode(a.file("index.json"), &index)
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	a.decode(a.blob(index.Manifests[0]), &manifest)
	a.decode(a.blob(manifest.Config), &a.config)
	for i, layer := range manifest.Layers {
		unpacked, err := gzip.NewReader(bytes.NewReader(a.blob(layer)))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		if digestOf(content) != a.config.RootFS.DiffIDs[i] {
			t.Fatalf("layer %d is %s, the config says %s", i, digestOf(content), a.config.RootFS.DiffIDs[i])
		}
		a.layerDigests = append(a.layerDigests, layer.Digest)
		a.layers = append(a.layers, untar(t, content))
	}
	return a
}

func TestTwoBuildsInDifferentFoldersGiveTheSameBytes(t *testing.T) {
	folders, err := made()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"image/extproc.tar", "image/extproc-debug.tar"} {
		var digests []string
		for _, folder := range folders {
			data, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, digestOf(data))
		}
		if digests[0] != digests[1] {
			t.Errorf("%s is %s and %s", file, digests[0], digests[1])
		}
	}
}

func TestDockersManifestNamesTheSameBlobs(t *testing.T) {
	for file, tag := range map[string]string{"extproc.tar": version, "extproc-debug.tar": version + "-debug"} {
		a := open(t, file)
		var manifest []struct {
			Config   string
			RepoTags []string
			Layers   []string
		}
		a.decode(a.file("manifest.json"), &manifest)
		var layers []string
		for _, layer := range manifest[0].Layers {
			layers = append(layers, digestOf(a.file(layer)))
		}
		if !slices.Equal(layers, a.layerDigests) {
			t.Errorf("%s: layers %v, in the OCI manifest %v", file, layers, a.layerDigests)
		}
		if want := []string{name + ":" + tag}; !slices.Equal(manifest[0].RepoTags, want) {
			t.Errorf("%s: is called %v, want %v", file, manifest[0].RepoTags, want)
		}
	}
}

func TestConfigRunsTheProgramAsANumericUser(t *testing.T) {
	for _, file := range []string{"extproc.tar", "extproc-debug.tar"} {
		config := open(t, file).config.Config
		if config.User != "65532:65532" {
			t.Errorf("%s: user %q: the kubelet can't tell that it isn't root", file, config.User)
		}
		if !slices.Equal(config.Entrypoint, []string{"/extproc"}) {
			t.Errorf("%s: entry point %q", file, config.Entrypoint)
		}
		ports := slices.Sorted(maps.Keys(config.ExposedPorts))
		if !slices.Equal(ports, []string{"1063/tcp", "1064/tcp", "6060/tcp"}) {
			t.Errorf("%s: ports %q", file, ports)
		}
		if !strings.Contains(config.Labels["extproc.compiler"], "libgcc-12-dev ") {
			t.Errorf("%s: made by the compiler %q", file, config.Labels["extproc.compiler"])
		}
		for _, label := range []string{"title", "description", "version", "licenses", "created"} {
			if config.Labels["org.opencontainers.image."+label] == "" {
				t.Errorf("%s: no label %s", file, label)
			}
		}
	}
}

func TestLayersAreSortedOwnedByTheUserAndOfOneTime(t *testing.T) {
	for _, file := range []string{"extproc.tar", "extproc-debug.tar"} {
		for _, layer := range open(t, file).layers {
			var names []string
			for _, found := range layer {
				names = append(names, strings.TrimSuffix(found.Name, "/"))
				if found.Uid != user || found.Gid != user || found.Uname != "" || found.Gname != "" {
					t.Errorf("%s: %s belongs to %d:%d (%q %q)",
						file, found.Name, found.Uid, found.Gid, found.Uname, found.Gname)
				}
				if !found.ModTime.Equal(time.Unix(epoch, 0)) {
					t.Errorf("%s: %s is of %v", file, found.Name, found.ModTime)
				}
				if found.Typeflag == tar.TypeReg && found.Mode&0o222 != 0 {
					t.Errorf("%s: %s can be written: mode %o", file, found.Name, found.Mode)
				}
			}
			if !slices.IsSorted(names) {
				t.Errorf("%s: %q", file, names)
			}
		}
	}
}

// programs are the paths of files that are executable or begin like an ELF file.
func programs(layer []member) (paths []string) {
	for _, found := range layer {
		isELF := bytes.HasPrefix(found.data, []byte(elf.ELFMAG))
		if found.Typeflag != tar.TypeDir && (found.Mode&0o111 != 0 || isELF) {
			paths = append(paths, found.Name)
		}
	}
	return paths
}

func TestProductHoldsOneProgramThatNeedsNothing(t *testing.T) {
	a := open(t, "extproc.tar")
	if len(a.layers) != 1 {
		t.Fatalf("%d layers", len(a.layers))
	}
	if found := programs(a.layers[0]); !slices.Equal(found, []string{"extproc"}) {
		t.Errorf("programs: %q", found)
	}
	for _, found := range a.layers[0] {
		if found.Name != "extproc" {
			continue
		}
		program, err := elf.NewFile(bytes.NewReader(found.data))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range program.Progs {
			if part.Type == elf.PT_INTERP {
				t.Error("it asks for a loader that is not there")
			}
		}
	}
}

func TestTwinIsTheProductAndAShell(t *testing.T) {
	product, twin := open(t, "extproc.tar"), open(t, "extproc-debug.tar")
	if len(twin.layers) != 2 || twin.layerDigests[0] != product.layerDigests[0] {
		t.Fatalf("layers %v, those of the product %v", twin.layerDigests, product.layerDigests)
	}
	for _, found := range programs(twin.layers[1]) {
		if !strings.HasPrefix(found, "busybox/") {
			t.Errorf("a program outside /busybox: %s", found)
		}
	}
	if !slices.ContainsFunc(twin.layers[1], func(m member) bool { return m.Name == "busybox/sh" }) {
		t.Error("no /busybox/sh")
	}
	if !slices.Equal(twin.config.Config.Env, []string{"PATH=/busybox"}) {
		t.Errorf("environment %q", twin.config.Config.Env)
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
	folders, err := made()
	if err != nil {
		t.Fatal(err)
	}
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
