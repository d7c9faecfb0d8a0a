// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What somebody may have set in the last release.
const oldValues = `
commonLabels: { team: platform }
extProc:
  logFormat: json
  bodyLimit: 10Mi
  podDisruptionBudget: { minAvailable: 1 }
  drain: { delaySeconds: 6 }
  extraEnvVars:
    - { name: TEAM, value: platform }
`

// releasedChart is the package of the last release; its image is loaded.
func releasedChart(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("KIND_RELEASED")
	packages, _ := filepath.Glob(folder + "/build/charts/*.tgz")
	if len(packages) != 1 {
		show("skipped: %s: %s", t.Name(), folder)
		t.Skip(folder)
	}
	return packages[0]
}

// From the last release, chart and image, to this one and back, under load, with two replicas: no
// request fails, each object stays the same one, and what was set stays set.
func TestUpgradeFromTheLastRelease(t *testing.T) {
	timed(t)
	old := releasedChart(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	r.helmRun("install " + releaseName + " " + old + wait + " -f " + n.file("values.yaml", oldValues))
	before := n.identities()
	values := n.must("helm get values "+releaseName, "")
	load := traffic{r, n.envoy(serviceAddress(n)), counts{}}
	check := func(what string) {
		t.Helper()
		for object, identity := range n.identities() {
			if was, isOld := before[object]; isOld && was != identity {
				t.Errorf("%s: %s was %s and is %s", what, object, was, identity)
			}
			delete(before, object)
		}
		for object := range before {
			t.Errorf("%s: %s is gone", what, object)
		}
		before = n.identities()
		if now := n.must("helm get values "+releaseName, ""); now != values {
			t.Errorf("%s: the values were\n%s and are\n%s", what, values, now)
		}
		served := r.pods()[0]
		settings := map[string]string{}
		for _, variable := range served.Spec.Containers[0].Env {
			settings[variable.Name] = variable.Value
		}
		for name, want := range map[string]string{"EXTPROC_LOG_FORMAT": "json", "EXTPROC_BODY_LIMIT": "10Mi",
			"EXTPROC_DRAIN_DELAY": "6s", "TEAM": "platform"} {
			if settings[name] != want {
				t.Errorf("%s: %s is %q, and was set to %q", what, name, settings[name], want)
			}
		}
		if served.Labels["team"] != "platform" {
			t.Errorf("%s: the pods' labels are %v", what, served.Labels)
		}
		show("%s: image %s, the same objects, the same values", what, served.Spec.Containers[0].Image)
	}
	check("the last release")
	load.replace("helm upgrade", func() {
		r.helmRun("upgrade " + releaseName + " " + chart + wait)
	})
	check("helm upgrade")
	if now := r.pods()[0].Spec.Containers[0].Image; now != image {
		t.Errorf("the image is %s, not %s", now, image)
	}
	checkEnabled(t, r)
	load.replace("helm rollback", func() {
		r.helmRun("rollback " + releaseName + " 1" + wait)
	})
	check("helm rollback")
	for _, object := range slices.Sorted(maps.Keys(before)) {
		show("%s %s", object, before[object])
	}
}

// identities are the UIDs of the release's lasting objects, the Service's address and the selectors.
func (n namespace) identities() map[string]string {
	n.t.Helper()
	found := map[string]string{}
	for _, kind := range []string{"deployment", "service", "networkpolicy", "poddisruptionbudget", "serviceaccount"} {
		said := n.must(fmt.Sprintf("kubectl get %s -l app.kubernetes.io/instance=%s -o jsonpath='{range .items[*]}"+
			"{.metadata.name} {.metadata.uid} {.spec.clusterIP} {.spec.selector} {.spec.podSelector}{\"\\n\"}{end}'",
			kind, releaseName), "")
		for line := range strings.Lines(said) {
			name, identity, _ := strings.Cut(strings.TrimSpace(line), " ")
			found[kind+"/"+name] = identity
		}
	}
	return found
}
