// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const readme, chartReadme = "../../README.md", "../../charts/envoy-ai-gateway/README.md"

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns the blocks of one language in the README's section about clusters.
func section(t *testing.T, language string) (blocks []string) {
	t.Helper()
	_, text, _ := strings.Cut(read(t, readme), "\n## In a cluster\n")
	text, _, _ = strings.Cut(text, "\n## ")
	block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```")
	for _, found := range block.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

func readmesCommands(t *testing.T) []string {
	t.Helper()
	return linesWith(strings.Join(section(t, "sh"), ""), "")
}

// checkout is a folder that looks like one with the product built in it.
func checkout(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.Symlink(os.Getenv("KIND_BUILD"), filepath.Join(folder, "build")); err != nil {
		t.Fatal(err)
	}
	for _, values := range section(t, "yaml") {
		if err := os.WriteFile(filepath.Join(folder, "disable-pprof.yaml"), []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// The README's section about clusters, command by command, as it stands there. After some of them we
// look whether they did what the text around them says.
func TestReadmesCommandsDoWhatItSays(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	n.folder = checkout(t)
	r := release{n, "helm"}
	visitor := n.visitor("visitor", nil)
	before := n.objects()
	pprofIs := func(want string) {
		t.Helper()
		eventually(t, func() string {
			found, err := visitor.try(r.pods()[0].Status.PodIP, pprofPort)
			if err != nil {
				return err.Error()
			}
			if isClosed(found[0]) == (want == open) {
				return "6060 is " + found[0] + ", want " + want
			}
			return ""
		})
	}
	for _, command := range readmesCommands(t) {
		words := strings.Fields(command)
		switch strings.Join(words[:2], " ") {
		case "make image":
			continue // It was run before these tests.
		case "kubectl port-forward":
			needPort(t, pprofPort)
			n.startForward(command)
		case "kubectl label":
			pprofIs("closed")
			n.must(strings.Replace(command, "NAME", visitor.name, 1), "")
			pprofIs(open)
		case "go tool":
			if output := n.must(command, ""); !strings.Contains(output, "Type: cpu") {
				t.Errorf("%s:\n%s", command, output)
			}
		case "helm upgrade", "helm rollback":
			n.must(command, "")
			if isThere := mentionsPprof(r); isThere != (words[1] == "rollback") {
				t.Errorf("%s: 6060 is there: %v", command, isThere)
			}
		default:
			n.must(command, "")
		}
		show("%s", command)
	}
	n.expectOnly(before)
}

// The chart's README repeats them, and has commands that other tests run.
func TestChartsReadmeHasNoOtherCommands(t *testing.T) {
	known := append(readmesCommands(t), pprofCommands(t)...)
	known = append(known, secretCommand, switchCommand, openCommand, debugCommand)
	// It makes a token; tests/access runs it.
	known = append(known, linesWith(read(t, "../../docs/access.md"), "od ")...)
	// (A line of values has a colon behind its first word.)
	isCommand := regexp.MustCompile(`^[a-z]+ `)
	for line := range strings.Lines(read(t, chartReadme)) {
		command, isBlock := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		if isBlock && isCommand.MatchString(command) && !slices.Contains(known, command) {
			t.Errorf("no test runs %s", command)
		}
	}
}
