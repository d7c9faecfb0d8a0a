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

// In the tree the chart's schema is a link to the one at the root; who gets the package gets a
// file.
func TestSchemaIsALinkInTheTreeAndAFileInThePackage(t *testing.T) {
	target, err := os.Readlink(chartFolder + "/values.schema.json")
	if err != nil || target != "../../values.schema.json" {
		t.Errorf("the link leads to %q (%v)", target, err)
	}
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			file := pack(t, helm)
			files := unpack(t, file)
			if files["values.schema.json"] != read(t, "../../values.schema.json") {
				t.Error("the package's schema is not the file at the root")
			}
			rendering, err := run(t, "", tool(t, helm), "template", release, file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(rendering, `/extproc:7.8.9"`) {
				t.Error("the package's version is not the image's tag")
			}
			_, err = run(t, "", tool(t, helm), "template", release, file, "--set=no.such=key")
			if err == nil {
				t.Error("the package's schema refuses nothing")
			}
		})
	}
}

// Helm gives `global` to each sub-chart, and a parent may switch it on by `enabled`: a closed schema
// must take both.
func TestChartWorksInsideAnother(t *testing.T) {
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			parent := t.TempDir()
			write(t, parent+"/Chart.yaml", `{apiVersion: v2, name: parent, version: 1.0.0, dependencies: [
				{name: envoy-ai-gateway, version: 0.x, condition: envoy-ai-gateway.enabled}]}`)
			write(t, parent+"/charts/"+filepath.Base(pack(t, helm)), read(t, pack(t, helm)))
			template := func(values string) string {
				output, err := run(t, values, tool(t, helm), "template", "parent", parent, "--values", "-")
				if err != nil {
					t.Fatal(err)
				}
				return output
			}
			on := template("{global: {team: a}, envoy-ai-gateway: {enabled: true, extProc: {replicaCount: 7}}}")
			if !strings.Contains(on, "replicas: 7") {
				t.Errorf("its values do not get through:\n%s", on)
			}
			if off := template("{envoy-ai-gateway: {enabled: false}}"); strings.Contains(off, "kind:") {
				t.Errorf("it cannot be switched off:\n%s", off)
			}
		})
	}
}

// pack makes a package and returns its path.
func pack(t *testing.T, helm string) string {
	t.Helper()
	folder := t.TempDir()
	arguments := []string{"package", "--app-version", "7.8.9", "--destination", folder, chartFolder}
	if output, err := run(t, "", tool(t, helm), arguments...); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	packages, _ := filepath.Glob(folder + "/*.tgz")
	if len(packages) != 1 {
		t.Fatalf("%d packages", len(packages))
	}
	return packages[0]
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
	top := []string{"Chart.yaml", "README.md", "values.yaml", "values.schema.json"}
	for name := range unpack(t, pack(t, "helm4")) {
		if !slices.Contains(top, name) && !strings.HasPrefix(name, "templates/") {
			t.Errorf("%s does not belong into the package", name)
		}
	}
}
