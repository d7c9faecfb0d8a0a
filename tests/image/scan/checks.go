// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// SizeLimit is what the product's layers may weigh, compressed.
const SizeLimit = 1500000

// Machine is what must not be found in an image: folders of the machine that it was built on.
var Machine []string

// Check is one promise about an image. Of the twin only those are asked that are not the product's
// alone.
type Check struct {
	Promise string
	Product bool
	Look    func(*Image) (seen string, err error)
}

// Checks is the table.
var Checks = []Check{
	{"one layer", true, oneLayer},
	{"one program and nothing else to run", true, oneProgram},
	{"no shell, interpreter or package manager", true, noShell},
	{"at most 1.5 MB compressed", true, small},
	{"files, folders, and links within a folder only", false, plainFiles},
	{"no setuid, setgid, sticky bit or file capability", false, noPrivilege},
	{"nothing that its user can write", false, readOnly},
	{"no account with a password or a shell", false, noLogin},
	{"a numeric user that is not root", false, numericUser},
	{"starts the program itself, without a shell", false, entry},
	{"labels: title, description, version, licences, date", false, labels},
	{"everything of one date", false, oneDate},
	{"static: no loader, no shared library", false, each(static)},
	{"for the machine that the config names", false, machine},
	{"position-independent (PIE), no text relocations", false, each(independent)},
	{"relocations read-only from the start (RELRO, NOW)", false, each(relro)},
	{"no executable stack", false, each(stack)},
	{"no memory writable and executable at once", false, each(wxorx)},
	{"stack protector and clash protection in every part but libc", false, protected},
	{"our variables start as zeros", false, zeroed},
	{"symbols, line tables, unwind rows and build id for profiles", false, profiled},
	{"a bill of materials for each program, with its digest", false, billed},
	{"the bill is what the debug data tells of", false, complete},
	{"the text of each licence", false, licensed},
	{"no keys or tokens", false, noSecrets},
	{"no path of the machine that built it", false, noPaths},
}

// Breach is a promise that an image breaks.
type Breach struct {
	Check Check
	Why   error
}

// Product runs all checks, Twin those that hold for the image with a shell too. Row gets a line for
// each.
func Product(image *Image, row func(check Check, seen string, err error)) []Breach {
	return run(image, row, func(Check) bool { return true })
}

// Twin: see Product.
func Twin(image *Image, row func(check Check, seen string, err error)) []Breach {
	return run(image, row, func(check Check) bool { return !check.Product })
}

func run(image *Image, row func(Check, string, error), asked func(Check) bool) (breaches []Breach) {
	for _, check := range Checks {
		if !asked(check) {
			continue
		}
		seen, err := check.Look(image)
		if row(check, seen, err); err != nil {
			breaches = append(breaches, Breach{check, err})
		}
	}
	return breaches
}

func oneLayer(i *Image) (string, error) {
	if len(i.Layers) != 1 {
		return "", fmt.Errorf("%d layers", len(i.Layers))
	}
	return i.Layers[0].Digest[:19], nil
}

func oneProgram(i *Image) (string, error) {
	for _, file := range i.Files() {
		if file.Typeflag != '5' && file.Mode&0o111 != 0 && file.Name != "extproc" {
			return "", fmt.Errorf("/%s can be run", file.Name)
		}
	}
	if found := slices.Sorted(maps.Keys(i.Programs)); !slices.Equal(found, []string{"/extproc"}) {
		return "", fmt.Errorf("programs: %v", found)
	}
	return fmt.Sprintf("%d files", len(i.Files())), nil
}

var shells = regexp.MustCompile(`^((ba|da|a|z|k|c|fi)?sh|busybox|toybox|perl|ruby|lua|node|python[0-9.]*|` +
	`apk|apt(-get)?|dpkg|rpm|yum|dnf|microdnf|pip[0-9.]*|npm)$`)

func noShell(i *Image) (string, error) {
	for _, file := range i.Files() {
		if shells.MatchString(path.Base(file.Name)) || bytes.HasPrefix(file.Data, []byte("#!")) {
			return "", fmt.Errorf("/%s", file.Name)
		}
	}
	return "none", nil
}

func small(i *Image) (string, error) {
	if i.Size() > SizeLimit {
		return "", fmt.Errorf("%d bytes", i.Size())
	}
	return fmt.Sprintf("%.2f MB", float64(i.Size())/1e6), nil
}

func plainFiles(i *Image) (string, error) {
	links := 0
	for _, file := range i.Files() {
		switch {
		case strings.HasPrefix(file.Name, "/") || slices.Contains(strings.Split(file.Name, "/"), ".."):
			return "", fmt.Errorf("%s leaves the image", file.Name)
		case file.Typeflag == '2' && !strings.Contains(file.Linkname, "/"):
			links++
		case file.Typeflag != '0' && file.Typeflag != '5':
			return "", fmt.Errorf("/%s is of type %q -> %q", file.Name, file.Typeflag, file.Linkname)
		}
	}
	return fmt.Sprintf("%d links", links), nil
}

func noPrivilege(i *Image) (string, error) {
	for _, file := range i.Files() {
		if file.Mode&0o7000 != 0 {
			return "", fmt.Errorf("/%s: mode %o", file.Name, file.Mode)
		}
		for record := range file.PAXRecords {
			if strings.Contains(record, "xattr") {
				return "", fmt.Errorf("/%s: %s", file.Name, record)
			}
		}
	}
	return "none", nil
}

// Root owns everything: not even a file system that can be written lets the program change it.
func readOnly(i *Image) (string, error) {
	for _, file := range i.Files() {
		writable := file.Mode&0o022 != 0 || file.Mode&0o200 != 0 && file.Uid != 0
		if file.Typeflag != '2' && (writable || file.Uid != 0 || file.Gid != 0) {
			return "", fmt.Errorf("/%s: mode %o, of %d:%d", file.Name, file.Mode, file.Uid, file.Gid)
		}
	}
	return "all of root's, mode 555, 444 or folders", nil
}

func noLogin(i *Image) (string, error) {
	for _, file := range i.Files() {
		if file.Name == "etc/shadow" {
			return "", fmt.Errorf("/%s", file.Name)
		}
		if file.Name != "etc/passwd" {
			continue
		}
		for line := range strings.Lines(string(file.Data)) {
			fields := strings.Split(strings.TrimSpace(line), ":")
			if len(fields) != 7 || fields[1] != "x" || fields[6] != "/sbin/nologin" {
				return "", fmt.Errorf("/etc/passwd: %q", strings.TrimSpace(line))
			}
		}
	}
	return "nologin", nil
}

var numeric = regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`)

func numericUser(i *Image) (string, error) {
	if !numeric.MatchString(i.Settings.User) {
		return "", fmt.Errorf("user %q: the kubelet can't tell that it isn't root", i.Settings.User)
	}
	return i.Settings.User, nil
}

func entry(i *Image) (string, error) {
	if !slices.Equal(i.Settings.Entrypoint, []string{"/extproc"}) || len(i.Settings.Cmd) != 0 {
		return "", fmt.Errorf("entry point %q, command %q", i.Settings.Entrypoint, i.Settings.Cmd)
	}
	return i.Settings.Entrypoint[0], nil
}

func labels(i *Image) (string, error) {
	for _, label := range []string{"title", "description", "version", "licenses", "created"} {
		if i.Settings.Labels["org.opencontainers.image."+label] == "" {
			return "", fmt.Errorf("no label %s", label)
		}
	}
	return "version " + i.Settings.Labels["org.opencontainers.image.version"], nil
}

func oneDate(i *Image) (string, error) {
	for _, file := range i.Files() {
		if !file.ModTime.Equal(i.Created) {
			return "", fmt.Errorf("/%s is of %v, the image of %v", file.Name, file.ModTime, i.Created)
		}
	}
	date := i.Created.UTC().Format(time.RFC3339)
	for name, bill := range i.Bills {
		if bill.CreationInfo.Created != date {
			return "", fmt.Errorf("%s is of %s, the image of %s", name, bill.CreationInfo.Created, date)
		}
	}
	return date, nil
}

// bills gives each program's file with the bill that describes it.
func bills(i *Image, look func(File, *Bill) error) (string, error) {
	count := 0
	for _, file := range i.Files() {
		if i.Programs["/"+file.Name] == nil {
			continue
		}
		var bill *Bill
		for _, found := range i.Bills {
			if whole, _ := found.Whole(); whole.PackageFileName == "./"+file.Name {
				bill = found
			}
		}
		if bill == nil {
			return "", fmt.Errorf("none of /%s", file.Name)
		}
		if err := look(file, bill); err != nil {
			return "", fmt.Errorf("that of /%s: %w", file.Name, err)
		}
		count += len(bill.Parts())
	}
	return fmt.Sprintf("%d parts", count), nil
}

func billed(i *Image) (string, error) {
	return bills(i, func(file File, bill *Bill) error { return bill.describes(file) })
}

func complete(i *Image) (string, error) {
	return bills(i, func(file File, bill *Bill) error {
		program := i.Programs["/"+file.Name]
		if len(program.Units) == 0 && file.Name != "extproc" {
			return nil
		}
		return bill.matches(program)
	})
}

// The compiler's runtime needs no text: its exception lets what is built with it have any terms.
func licensed(i *Image) (string, error) {
	has := map[string]bool{}
	for _, file := range i.Files() {
		if len(file.Data) > 0 {
			has[path.Dir(file.Name)], has[file.Name] = true, true
		}
	}
	if !has["licenses/LICENSE"] {
		return "", fmt.Errorf("none of our own")
	}
	count := 1
	for _, bill := range i.Bills {
		for _, part := range bill.Packages {
			whole, _ := bill.Whole()
			if part.fromDebian() || part.SPDXID == whole.SPDXID && part.Name == "extproc" {
				continue
			}
			if !has["licenses/"+part.Name] {
				return "", fmt.Errorf("none of %s", part.Name)
			}
			count++
		}
	}
	return fmt.Sprintf("%d", count), nil
}

// find looks through all files, with the debug data of programs unpacked.
func find(i *Image, look func(text []byte) []byte) (string, error) {
	size := 0
	for _, file := range i.Files() {
		text := file.Data
		if program := i.Programs["/"+file.Name]; program != nil {
			text = program.Plain
		}
		size += len(text)
		if found := look(text); found != nil {
			return "", fmt.Errorf("/%s: %q", file.Name, found)
		}
	}
	return fmt.Sprintf("%.1f MB looked through", float64(size)/1e6), nil
}

var secrets = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|` +
	`\bxox[abp]-[0-9A-Za-z-]{20}|\bsk-[A-Za-z0-9]{32}|\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}`)

func noSecrets(i *Image) (string, error) {
	for _, variable := range i.Settings.Env {
		if !strings.HasPrefix(variable, "PATH=") {
			return "", fmt.Errorf("environment %q", variable)
		}
	}
	return find(i, secrets.Find)
}

var homes = regexp.MustCompile(`(^|[^A-Za-z0-9_.$}/-])/(home|root|work|Users)/[A-Za-z0-9_.]+`)

func noPaths(i *Image) (string, error) {
	return find(i, func(text []byte) []byte {
		for _, folder := range Machine {
			if bytes.Contains(text, []byte(folder)) {
				return []byte(folder)
			}
		}
		return homes.Find(text)
	})
}
