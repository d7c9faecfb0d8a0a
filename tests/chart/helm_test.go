// SPDX-License-Identifier: Apache-2.0

// Package chart tests the Helm chart and the policies without a cluster: what Helm makes of values,
// which values it refuses, and what other tools say about the result. It runs on the oldest Helm
// that is supported and on Helm 4.
package chart

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	chartFolder = "../../charts/envoy-ai-gateway"
	release     = "envoy-ai-gateway"
)

// `make golden` sets it.
var update = flag.Bool("update", false, "write the expected files and the README's table")

var helms = []string{"helm3", "helm4"}

var tools sync.Map

// tool returns the path of a tool of tools.lock.
func tool(t *testing.T, name string) string {
	t.Helper()
	find := sync.OnceValues(func() (string, error) {
		var complaint bytes.Buffer
		command := exec.Command("./tools.sh", name)
		command.Stderr = &complaint
		path, err := command.Output()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, &complaint)
		}
		return strings.TrimSpace(string(path)), err
	})
	once, _ := tools.LoadOrStore(name, find)
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// run returns what a command prints; an error has what it complained about.
func run(t *testing.T, stdin, name string, arguments ...string) (string, error) {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Stdin = strings.NewReader(stdin)
	output, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, exit.Stderr)
	}
	return string(output), err
}

// template returns what Helm makes of the chart and some values (YAML).
func template(t *testing.T, helm, values string, arguments ...string) (string, error) {
	t.Helper()
	arguments = append([]string{"template", release, chartFolder, "--values", "-"}, arguments...)
	return run(t, values, tool(t, helm), arguments...)
}

// mustTemplate fails the test if Helm refuses.
func mustTemplate(t *testing.T, helm, values string, arguments ...string) string {
	t.Helper()
	output, err := template(t, helm, values, arguments...)
	if err != nil {
		t.Fatalf("values:\n%s\n%v", values, err)
	}
	return output
}

// documents splits a YAML stream.
func documents(t *testing.T, stream string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for text := range strings.SplitSeq(stream, "\n---\n") {
		var document map[string]any
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if document != nil {
			all = append(all, document)
		}
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare holds text to the expected file, or writes it there.
func compare(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		write(t, file, text)
		return
	}
	expected, _ := os.ReadFile(file)
	if string(expected) == text {
		return
	}
	difference, _ := run(t, text, "diff", "-u", "--label", file, "--label", "now", file, "-")
	t.Errorf("not as %s has it:\n%s\nIf that is meant: make golden", file, difference)
}
