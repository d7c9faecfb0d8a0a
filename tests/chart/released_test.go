// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// releasedFolder is the tree of the last release; a clone that can't have it skips, and says why.
func releasedFolder(t *testing.T) string {
	t.Helper()
	output, err := run(t, "", "../released.sh")
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		t.Skip(output)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(output)
}

// fixed is what an upgrade must find again in an object: what Kubernetes lets nobody change, and what
// others rely on.
var fixed = map[string][]string{
	"Deployment":          {"spec.selector"},
	"Service":             {"spec.selector", "spec.type", "spec.ports"},
	"PodDisruptionBudget": {"spec.selector"},
	"NetworkPolicy":       {"spec.podSelector"},
	"ServiceAccount":      nil,
}

// identities returns what is fixed in a rendering, by object and field; an object is `there` by its name.
func identities(t *testing.T, rendering string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, document := range documents(t, rendering) {
		kind := document["kind"].(string)
		fields, isFixed := fixed[kind]
		if !isFixed {
			continue
		}
		name := fmt.Sprint(kind, "/", document["metadata"].(map[string]any)["name"])
		found[name] = "there"
		for _, path := range fields {
			node := any(document)
			for key := range strings.SplitSeq(path, ".") {
				node = node.(map[string]any)[key]
			}
			found[name+" "+path] = node
		}
	}
	return found
}

// refusedSince is what this chart refuses, on purpose, in values that the last release took.
var refusedSince = map[string]string{
	// It was overruled without a word.
	"everything": ", app.kubernetes.io/component: stays-ours",
}

// Each set of values that the last release was tested with is taken by this chart, too, and makes the
// same objects, by the same names and with the same selectors.
func TestUpgradeFromTheLastReleaseChangesNothingThatIsFixed(t *testing.T) {
	folder := releasedFolder(t)
	cases, _ := filepath.Glob(folder + "/tests/chart/golden/*.values.yaml")
	if len(cases) == 0 {
		t.Fatal("the last release has no golden/*.values.yaml")
	}
	for _, file := range cases {
		name := strings.TrimSuffix(filepath.Base(file), ".values.yaml")
		values := read(t, file)
		if part := refusedSince[name]; part != "" {
			if _, err := template(t, "helm4", values); err == nil || !strings.Contains(values, part) {
				t.Errorf("%s is not refused (any more): take it out of refusedSince", name)
			}
			values = strings.Replace(values, part, "", 1)
		}
		for _, helm := range helms {
			t.Run(name+"/"+helm, func(t *testing.T) {
				old, err := run(t, "", tool(t, helm), "template", release,
					filepath.Join(folder, "charts/envoy-ai-gateway"), "--values", file)
				if err != nil {
					t.Fatal(err)
				}
				now := identities(t, mustTemplate(t, helm, values))
				before := identities(t, old)
				if len(before) < 5 {
					t.Errorf("only %v", before)
				}
				for what, value := range before {
					if !reflect.DeepEqual(value, now[what]) {
						t.Errorf("%s was %v in the last release and is %v", what, value, now[what])
					}
				}
			})
		}
	}
}
