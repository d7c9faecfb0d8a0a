// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// In the tree the chart's schema is a link to the one at the root; who gets the package gets a file.
func TestSchemaIsALinkInTheTreeAndAFileInThePackage(t *testing.T) {
	if target, err := os.Readlink(chartFolder + "/values.schema.json"); err != nil || target != "../../values.schema.json" {
		t.Errorf("the link leads to %q (%v)", target, err)
	}
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			folder := t.TempDir()
			if output, err := run(t, "", tool(t, helm), "package", "--app-version", "7.8.9", "-d", folder, chartFolder); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			packages, _ := filepath.Glob(folder + "/*.tgz")
			if len(packages) != 1 {
				t.Fatalf("%d packages", len(packages))
			}
			files := unpack(t, packages[0])
			if files["values.schema.json"] != read(t, "../../values.schema.json") {
				t.Error("the package's schema is not the file at the root")
			}
			rendering, err := run(t, "", tool(t, helm), "template", release, packages[0])
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(rendering, `/extproc:7.8.9"`) {
				t.Error("the package's version is not the image's tag")
			}
			if _, err := run(t, "", tool(t, helm), "template", release, packages[0], "--set=no.such=key"); err == nil {
				t.Error("the package's schema refuses nothing")
			}
		})
	}
}

// unpack returns the plain files of a package; anything else fails the test.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	content, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	unzipped, err := gzip.NewReader(content)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			t.Errorf("%s is no plain file", header.Name)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		files[name] = string(text)
	}
}

func TestPackageHoldsNothingButTheChart(t *testing.T) {
	folder := t.TempDir()
	if output, err := run(t, "", tool(t, "helm4"), "package", "-d", folder, chartFolder); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	packages, _ := filepath.Glob(folder + "/*.tgz")
	for name := range unpack(t, packages[0]) {
		isExpected := slices.Contains([]string{"Chart.yaml", "README.md", "values.yaml", "values.schema.json"}, name) ||
			strings.HasPrefix(name, "templates/")
		if !isExpected {
			t.Errorf("%s does not belong into the package", name)
		}
	}
}
