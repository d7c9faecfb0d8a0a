// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var date = time.Unix(1767225600, 0)

func file(name string, data string, mode int64) File {
	return File{&tar.Header{Name: name, Typeflag: '0', Mode: mode, ModTime: date, Size: int64(len(data))}, []byte(data)}
}

func part(name, version, licence string) Package {
	made := Package{SPDXID: "id-" + name, Name: name, VersionInfo: version, LicenseDeclared: licence}
	made.Checksums = []struct{ Algorithm, ChecksumValue string }{{"SHA256", strings.Repeat("a", 64)}}
	made.ExternalRefs = []struct{ ReferenceType, ReferenceLocator string }{{"purl", "pkg:generic/" + name}}
	return made
}

const flags = "GNU C11 12.2.0 -O2 -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero"

// good is an image that keeps all promises.
func good() *Image {
	program := file("extproc", "\x7fELF", 0o555)
	sum := sha256.Sum256(program.Data)
	whole, zlib := part("extproc", "1", "Apache-2.0"), part("zlib", "1.3.1", "Zlib")
	whole.PackageFileName = "./extproc"
	whole.Checksums[0].ChecksumValue = hex.EncodeToString(sum[:])
	bill := &Bill{SpdxVersion: "SPDX-2.3", Packages: []Package{whole, zlib}}
	bill.CreationInfo.Created = date.UTC().Format(time.RFC3339)
	bill.Relationships = []struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }{
		{"id", "DESCRIBES", "id-extproc"}, {"id-extproc", "STATIC_LINK", "id-zlib"}}
	return &Image{
		Architecture: "amd64", OS: "linux", Created: date,
		Settings: Settings{User: "65532:65532", Entrypoint: []string{"/extproc"}, Labels: map[string]string{
			"org.opencontainers.image.title": "t", "org.opencontainers.image.description": "d",
			"org.opencontainers.image.version": "v", "org.opencontainers.image.licenses": "l",
			"org.opencontainers.image.created": "c"}},
		Layers: []Layer{{Digest: "sha256:0123456789abcdef", Size: 1000, Files: []File{
			{&tar.Header{Name: "etc/", Typeflag: '5', Mode: 0o755, ModTime: date}, nil},
			file("etc/passwd", "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n", 0o444),
			program,
			file("licenses/LICENSE", "text", 0o444),
			file("licenses/zlib/LICENSE", "text", 0o444),
		}}},
		Programs: map[string]*Program{"/extproc": {
			Machine: elf.EM_X86_64, Type: elf.ET_DYN, Flags1: elf.DF_1_NOW | elf.DF_1_PIE,
			BuildID: make([]byte, 36),
			Segments: []elf.ProgHeader{{Type: elf.PT_LOAD, Flags: elf.PF_R | elf.PF_X}, {Type: elf.PT_GNU_RELRO},
				{Type: elf.PT_GNU_STACK, Flags: elf.PF_R | elf.PF_W}},
			Sections: map[string]uint64{".symtab": 1, ".debug_line": 1, ".debug_info": 1, ".eh_frame": 1, ".eh_frame_hdr": 1},
			Units:    []Unit{{"src/main.c", flags}, {"zlib-1.3.1/inflate.c", flags}},
		}},
		Bills: map[string]*Bill{"/b.spdx.json": bill},
	}
}

func (i *Image) add(files ...File) { i.Layers[0].Files = append(i.Layers[0].Files, files...) }
func (i *Image) program() *Program { return i.Programs["/extproc"] }
func (i *Image) bill() *Bill       { return i.Bills["/b.spdx.json"] }
func (i *Image) of(name string) *File {
	for at := range i.Layers[0].Files {
		if i.Layers[0].Files[at].Name == name {
			return &i.Layers[0].Files[at]
		}
	}
	panic(name)
}

// What breaks each promise, at least once. Promises are named by how they begin.
var breaches = []struct {
	promise string
	doing   func(*Image)
}{
	{"one layer", func(i *Image) { i.Layers = append(i.Layers, Layer{}) }},
	{"one program", func(i *Image) { i.Programs["/tool"] = i.program() }},
	{"one program", func(i *Image) { i.add(file("tool", "text", 0o555)) }},
	{"no shell", func(i *Image) { i.add(file("bin/sh", "", 0o444)) }},
	{"no shell", func(i *Image) { i.add(file("sbin/apk", "", 0o444)) }},
	{"no shell", func(i *Image) { i.add(file("hook", "#!/bin/x\n", 0o444)) }},
	{"at most 1.5 MB", func(i *Image) { i.Layers[0].Size = SizeLimit + 1 }},
	{"files, folders", func(i *Image) { i.of("etc/passwd").Typeflag = '3' }},
	{"files, folders", func(i *Image) { i.of("etc/passwd").Typeflag = '1' }},
	{"files, folders", func(i *Image) { f := i.of("etc/passwd"); f.Typeflag, f.Linkname = '2', "../../x" }},
	{"files, folders", func(i *Image) { i.of("etc/passwd").Name = "etc/../../x" }},
	{"no setuid", func(i *Image) { i.of("extproc").Mode |= 0o4000 }},
	{"no setuid", func(i *Image) { i.of("extproc").Mode |= 0o2000 }},
	{"no setuid", func(i *Image) {
		i.of("extproc").PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "x"}
	}},
	{"nothing that its user can write", func(i *Image) { i.of("etc/").Mode = 0o777 }},
	{"nothing that its user can write", func(i *Image) { i.of("extproc").Uid = 65532 }},
	{"nothing that its user can write", func(i *Image) { i.of("extproc").Mode = 0o575 }},
	{"no account", func(i *Image) { i.of("etc/passwd").Data = []byte("root:x:0:0:root:/:/bin/sh\n") }},
	{"no account", func(i *Image) { i.of("etc/passwd").Data = []byte("root::0:0:root:/:/sbin/nologin\n") }},
	{"no account", func(i *Image) { i.add(file("etc/shadow", "", 0o444)) }},
	{"a numeric user", func(i *Image) { i.Settings.User = "" }},
	{"a numeric user", func(i *Image) { i.Settings.User = "0:0" }},
	{"a numeric user", func(i *Image) { i.Settings.User = "nonroot" }},
	{"starts the program", func(i *Image) { i.Settings.Entrypoint = []string{"/bin/sh", "-c", "/extproc"} }},
	{"starts the program", func(i *Image) { i.Settings.Cmd = []string{"--log-level=debug"} }},
	{"labels", func(i *Image) { delete(i.Settings.Labels, "org.opencontainers.image.licenses") }},
	{"everything of one date", func(i *Image) { i.of("extproc").ModTime = date.Add(time.Second) }},
	{"everything of one date", func(i *Image) { i.bill().CreationInfo.Created = "2020-01-01T00:00:00Z" }},
	{"static", func(i *Image) { i.program().Segments[1].Type = elf.PT_INTERP }},
	{"static", func(i *Image) { i.program().Needed = []string{"libc.so.6"} }},
	{"for the machine", func(i *Image) { i.Architecture = "arm64" }},
	{"position-independent", func(i *Image) { i.program().Type = elf.ET_EXEC }},
	{"position-independent", func(i *Image) { i.program().TextRel = true }},
	{"relocations", func(i *Image) { i.program().Flags1 = elf.DF_1_PIE }},
	{"relocations", func(i *Image) { i.program().Segments[1].Type = elf.PT_NULL }},
	{"no executable stack", func(i *Image) { i.program().Segments[2].Flags |= elf.PF_X }},
	{"no executable stack", func(i *Image) { i.program().Segments = i.program().Segments[:2] }},
	{"no memory writable", func(i *Image) { i.program().Segments[0].Flags |= elf.PF_W }},
	{"stack protector", func(i *Image) { i.program().Units[1].Compiler = "GNU C11 -fstack-clash-protection" }},
	{"stack protector", func(i *Image) { i.program().Units[0].Compiler = "GNU C11 -fstack-protector-strong" }},
	{"our variables", func(i *Image) {
		i.program().Units[0].Compiler = "GNU C11 -fstack-protector-strong -fstack-clash-protection"
	}},
	{"symbols", func(i *Image) { delete(i.program().Sections, ".debug_line") }},
	{"symbols", func(i *Image) { i.program().BuildID = nil }},
	{"a bill of materials", func(i *Image) { i.Bills = nil }},
	{"a bill of materials", func(i *Image) { i.of("extproc").Data = []byte("another") }},
	{"a bill of materials", func(i *Image) { i.bill().SpdxVersion = "SPDX-2.2" }},
	{"a bill of materials", func(i *Image) { i.bill().Packages[1].Checksums = nil }},
	{"a bill of materials", func(i *Image) { i.bill().Packages[1].ExternalRefs = nil }},
	{"the bill is what", func(i *Image) {
		i.program().Units = append(i.program().Units, Unit{"libstrange-1.0/strange.c", flags})
	}},
	{"the bill is what", func(i *Image) { i.program().Units = i.program().Units[:1] }},
	{"the bill is what", func(i *Image) { i.bill().Packages[1].VersionInfo = "1.2" }},
	{"the text of each licence", func(i *Image) { i.of("licenses/zlib/LICENSE").Data = nil }},
	{"the text of each licence", func(i *Image) { i.of("licenses/LICENSE").Name = "licenses/x" }},
	{"no keys", func(i *Image) { i.add(file("k", "-----BEGIN EC "+"PRIVATE KEY-----", 0o444)) }},
	{"no keys", func(i *Image) { i.program().Plain = []byte("AKIA" + strings.Repeat("Q", 16)) }},
	{"no keys", func(i *Image) { i.Settings.Env = []string{"PPROF_TOKEN=x"} }},
	{"no path", func(i *Image) { i.program().Plain = []byte("\x00/home" + "/me/src/main.c\x00") }},
	{"no path", func(i *Image) { i.program().Plain = []byte("at /builds/here/x.c") }},
}

func TestAGoodImageBreaksNoPromise(t *testing.T) {
	for _, breach := range Product(good(), func(Check, string, error) {}) {
		t.Errorf("%s: %v", breach.Check.Promise, breach.Why)
	}
}

func TestEachCheckSeesItsBreach(t *testing.T) {
	Machine = []string{"/builds/here"}
	defer func() { Machine = nil }()
	tried := map[string]bool{}
	for _, bad := range breaches {
		image := good()
		bad.doing(image)
		seen := false
		for _, breach := range Product(image, func(Check, string, error) {}) {
			seen = seen || strings.HasPrefix(breach.Check.Promise, bad.promise)
			tried[breach.Check.Promise] = true
		}
		if !seen {
			t.Errorf("nobody saw that %q is broken", bad.promise)
		}
	}
	for _, check := range Checks {
		if !tried[check.Promise] {
			t.Errorf("nothing here breaks %q", check.Promise)
		}
	}
}

func TestTheTwinMayHaveAShellAndNothingElse(t *testing.T) {
	twin := func() *Image {
		made := good()
		link := file("busybox/sh", "", 0o777)
		link.Typeflag, link.Linkname = '2', "busybox"
		made.Layers = append(made.Layers, Layer{Files: []File{file("busybox/busybox", "", 0o555), link}})
		return made
	}
	if _, err := Differences(good(), twin()); err != nil {
		t.Error(err)
	}
	for what, doing := range map[string]func(*Image){
		"another first layer": func(i *Image) { i.Layers[0].Digest = "sha256:other" },
		"no second layer":     func(i *Image) { i.Layers = i.Layers[:1] },
		"a file elsewhere":    func(i *Image) { i.Layers[1].Files[0].Name = "etc/passwd" },
		"no shell":            func(i *Image) { i.Layers[1].Files = i.Layers[1].Files[:1] },
		"another user":        func(i *Image) { i.Settings.User = "0:0" },
		"another command":     func(i *Image) { i.Settings.Entrypoint = []string{"/busybox/sh"} },
	} {
		bad := twin()
		doing(bad)
		if _, err := Differences(good(), bad); err == nil {
			t.Errorf("%s: not seen", what)
		}
	}
}

// What the compiler does with none of our flags is read as what it is.
func TestAProgramBuiltWithoutCareIsSeenInItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "careless")
	command := exec.Command("gcc", "-x", "c", "-", "-g", "-no-pie", "-Wl,-z,execstack,-z,norelro,-z,lazy", "-o", path)
	command.Stdin = strings.NewReader("int main(void) { return 0; }\n")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	program, err := ReadProgram(data)
	if err != nil {
		t.Fatal(err)
	}
	image := good()
	image.Programs["/extproc"] = program
	broken := ""
	for _, breach := range Product(image, func(Check, string, error) {}) {
		broken += breach.Check.Promise + "\n"
	}
	for _, promise := range []string{"static", "position-independent", "relocations", "no executable stack",
		"stack protector", "the bill is what"} {
		if !strings.Contains("\n"+broken, "\n"+promise) {
			t.Errorf("not seen: %s", promise)
		}
	}
}

func TestABrokenArchiveIsNotRead(t *testing.T) {
	pack := func(files map[string]string) Archive {
		archive := Archive{}
		for name, data := range files {
			archive[name] = file(name, data, 0o444)
		}
		return archive
	}
	layout := `{"imageLayoutVersion":"1.0.0"}`
	named := `{"manifests":[{"digest":"` + Digest([]byte("{}")) + `","size":2}]}`
	blob := "blobs/" + strings.Replace(Digest([]byte("{}")), ":", "/", 1)
	for what, archive := range map[string]Archive{
		"no layout":       pack(map[string]string{"index.json": named, blob: "{}"}),
		"no index":        pack(map[string]string{"oci-layout": layout}),
		"no manifest":     pack(map[string]string{"oci-layout": layout, "index.json": named}),
		"another content": pack(map[string]string{"oci-layout": layout, "index.json": named, blob: "[]"}),
		"no config":       pack(map[string]string{"oci-layout": layout, "index.json": named, blob: "{}"}),
	} {
		if _, err := archive.Images(); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := layer([]byte("no gzip"), ""); err == nil {
		t.Error("a layer that is no gzip: no error")
	}
	if _, err := Untar(bytes.Repeat([]byte("x"), 1024)); err == nil {
		t.Error("a layer that is no tar: no error")
	}
}
