// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The suites in units/, by helm-unittest: one subtest each.
func TestUnits(t *testing.T) {
	suites, _ := filepath.Glob("units/*_test.yaml")
	if len(suites) == 0 {
		t.Fatal("there is no units/*_test.yaml")
	}
	// It leaves an empty folder behind.
	t.Cleanup(func() { _ = os.Remove("units/__snapshot__") })
	for _, suite := range suites {
		t.Run(filepath.Base(suite), func(t *testing.T) {
			t.Parallel()
			file := "../../tests/chart/" + suite
			output, err := run(t, "", tool(t, "helm-unittest"), "--strict", "-f", file, chartFolder)
			if err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// (Not in any case: seccompProfile has these letters, too.)
var aboutPprof = regexp.MustCompile(`pprof|Pprof|PPROF|6060`)

// mentions returns the texts and numbers in a document that speak of pprof or its port.
func mentions(node any) []string {
	var all []string
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			all = append(all, mentions(key)...)
			all = append(all, mentions(value)...)
		}
	case []any:
		for _, value := range node {
			all = append(all, mentions(value)...)
		}
	default:
		if text := fmt.Sprint(node); aboutPprof.MatchString(text) {
			all = append(all, text)
		}
	}
	return all
}

// With DISABLE_PPROF among the variables nothing speaks of pprof any more, but for that variable:
// whatever else the values say.
func TestDisabledMeansAbsent(t *testing.T) {
	others := map[string]map[string]any{
		"nothing else": {},
		"peers":        nested("networkPolicy.peers.pprof", []any{nested("namespace", "monitoring")}),
		"loopback":     nested("extProc.pprof.expose", "loopback"),
		"strict":       nested("networkPolicy.mode", "strict"),
		"no policy":    nested("networkPolicy.enabled", false),
	}
	for name, values := range others {
		for _, helm := range helms {
			t.Run(name+"/"+helm, func(t *testing.T) {
				t.Parallel()
				text, err := yaml.Marshal(values)
				if err != nil {
					t.Fatal(err)
				}
				rendering := mustTemplate(t, helm, string(text),
					"--set=extProc.extraEnvVars[0].name=DISABLE_PPROF",
					"--set=extProc.extraEnvVars[0].value=true")
				for _, document := range documents(t, rendering) {
					for _, text := range mentions(document) {
						if text != "DISABLE_PPROF" {
							t.Errorf("%v: %s", document["kind"], text)
						}
					}
				}
			})
		}
	}
	// Where it is not disabled, this way of looking finds it.
	var found []string
	for _, document := range documents(t, mustTemplate(t, "helm4", "{}")) {
		found = append(found, mentions(document)...)
	}
	if len(found) < 5 {
		t.Errorf("in the default rendering: only %v", found)
	}
}

// notes returns what Helm 4 prints after an installation in namespace llm. (helm-unittest has a Helm
// 3 inside; Helm 3 itself would ask a cluster first.)
func notes(t *testing.T, arguments ...string) string {
	t.Helper()
	arguments = append([]string{"install", release, chartFolder, "--dry-run=client", "--namespace", "llm"}, arguments...)
	output, err := run(t, "", tool(t, "helm4"), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(output, "\nNOTES:\n")
	return text
}

// kubectl understands each command of the notes: it gets as far as to ask the API server, which is
// not there.
func TestKubectlUnderstandsTheNotes(t *testing.T) {
	text := notes(t, "--set=extProc.pprof.auth.existingSecret=tokens", "--set=extProc.pprof.auth.loopback=true",
		"--set=extProc.pprof.switch.existingConfigMap=states")
	t.Setenv("KUBECONFIG", os.DevNull)
	nowhere := "--server=http://" + closedAddress(t)
	verbs := map[string]bool{}
	for line := range strings.Lines(text) {
		command, isCommand := strings.CutPrefix(strings.TrimSpace(line), "kubectl ")
		if !isCommand {
			continue
		}
		verbs[strings.Fields(command)[2]] = true
		output, err := run(t, "", "sh", "-c", tool(t, "kubectl")+" "+nowhere+" "+command)
		if err == nil || !strings.Contains(err.Error(), "was refused") {
			t.Errorf("kubectl %s: %v %s", command, err, output)
		}
	}
	for _, verb := range []string{"port-forward", "label", "get", "patch"} {
		if !verbs[verb] {
			t.Errorf("no `kubectl %s` in\n%s", verb, text)
		}
	}
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestHelm4PrintsTheNotes(t *testing.T) {
	if text := notes(t); !strings.Contains(text, "-n llm port-forward deployment/envoy-ai-gateway-extproc 6060:6060") {
		t.Errorf("no such notes:\n%s", text)
	}
}
