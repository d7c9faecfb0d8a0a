// SPDX-License-Identifier: Apache-2.0

// Package policies tests what is in policies/ without a cluster: admission policies by the plugin
// of the real API server, network policies by an evaluator of others and by the schemas of those
// who enforce them.
package policies

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	registration "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

const folder = "../../policies"

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// documents splits a YAML stream.
func documents(stream string) []string { return strings.Split(stream, "\n---\n") }

func parse(t *testing.T, stream string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, text := range documents(stream) {
		var content map[string]any
		encoded, err := yaml.YAMLToJSONStrict([]byte(text))
		if err == nil {
			err = json.Unmarshal(encoded, &content)
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if content != nil {
			all = append(all, &unstructured.Unstructured{Object: content})
		}
	}
	return all
}

func objects(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	return parse(t, read(t, file))
}

func readPolicies(t *testing.T) []*policy {
	t.Helper()
	files, _ := filepath.Glob(folder + "/admission/*/policy.yaml")
	var all []*policy
	for _, file := range files {
		p, at := readPolicy(t, file), filepath.Dir(file)
		p.name = filepath.Base(at)
		p.good = withTemplates(objects(t, at+"/good.yaml"))
		p.bad = withTemplates(objects(t, at+"/bad.yaml"))
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("there are no policies")
	}
	return all
}

// readPolicy reads a policy and its binding.
func readPolicy(t *testing.T, file string) *policy {
	t.Helper()
	p := &policy{
		policy:  &registration.ValidatingAdmissionPolicy{},
		binding: &registration.ValidatingAdmissionPolicyBinding{},
	}
	for i, into := range []any{p.policy, p.binding} {
		if err := yaml.UnmarshalStrict([]byte(documents(read(t, file))[i]), into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	p.fillIn()
	return p
}

// withTemplates adds a Deployment for each Pod: it has to find the same favour.
func withTemplates(samples []*unstructured.Unstructured) []*unstructured.Unstructured {
	all := samples
	for _, pod := range samples {
		if pod.GetKind() != "Pod" {
			continue
		}
		labels := map[string]any{}
		for key, value := range pod.GetLabels() {
			labels[key] = value
		}
		all = append(all, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{"name": pod.GetName()},
			"spec": map[string]any{"template": map[string]any{
				"metadata": map[string]any{"labels": labels}, "spec": pod.Object["spec"],
			}},
		}})
	}
	return all
}

func TestPoliciesWarnUnlessTheyAreToldToDeny(t *testing.T) {
	for _, p := range readPolicies(t) {
		t.Run(p.name, func(t *testing.T) {
			names := []string{p.policy.Name, p.binding.Name, p.binding.Spec.PolicyName}
			for _, name := range names {
				if name != p.name+".extproc" {
					t.Errorf("names: %v", names)
				}
			}
			if failure := p.policy.Spec.FailurePolicy; failure == nil || *failure != registration.Fail {
				t.Errorf("what it can't judge passes: %v", failure)
			}
			warn := []registration.ValidationAction{registration.Warn}
			if !slices.Equal(p.binding.Spec.ValidationActions, warn) {
				t.Errorf("actions: %v", p.binding.Spec.ValidationActions)
			}
			server := newAPIServer(t, p)
			for _, bad := range p.bad {
				shown, err := server.write(t, p.namespace(), bad, nil)
				if err != nil || len(shown) == 0 || !strings.Contains(shown[0], "Fix: ") {
					t.Errorf("%s: %v %q", bad.GetName(), err, shown)
				}
			}
		})
	}
}

func TestPoliciesRefuseBadSamples(t *testing.T) {
	for _, p := range readPolicies(t) {
		t.Run(p.name, func(t *testing.T) {
			server := newAPIServer(t, p.with(registration.Deny))
			for _, bad := range p.bad {
				_, err := server.write(t, p.namespace(), bad, nil)
				if err == nil || !strings.Contains(err.Error(), ". Fix: ") {
					t.Errorf("%s: %v", bad.GetName(), err)
					continue
				}
				t.Log(err)
			}
		})
	}
}

// A good sample of one policy is a bad one of none.
func TestPoliciesLetGoodSamplesThrough(t *testing.T) {
	policies := readPolicies(t)
	server := newAPIServer(t, policies...)
	for _, p := range policies {
		t.Run(p.name, func(t *testing.T) {
			for _, good := range p.good {
				if shown, err := server.write(t, p.namespace(), good, nil); err != nil || shown != nil {
					t.Errorf("%s: %v %q", good.GetName(), err, shown)
				}
			}
		})
	}
}

// What the samples do not show is not tested.
func TestEachValidationIsShownByABadSample(t *testing.T) {
	for _, p := range readPolicies(t) {
		for i, validation := range p.policy.Spec.Validations {
			server := newAPIServer(t, p.with(registration.Deny).only(i))
			refused := slices.ContainsFunc(p.bad, func(bad *unstructured.Unstructured) bool {
				_, err := server.write(t, p.namespace(), bad, nil)
				return err != nil
			})
			if !refused {
				t.Errorf("%s: no bad sample for %q", p.name, validation.Expression)
			}
		}
	}
}

// Who may not change a label of what is there, or remove a finalizer, has an outage.
func TestPoliciesLetThroughWhatDoesNotChange(t *testing.T) {
	for _, p := range readPolicies(t) {
		server := newAPIServer(t, p.with(registration.Deny))
		for _, bad := range p.bad {
			labelled := bad.DeepCopy()
			labelled.SetFinalizers([]string{"example.com/one"})
			if _, err := server.write(t, p.namespace(), labelled, bad); err != nil {
				t.Errorf("%s: %s: %v", p.name, bad.GetName(), err)
			}
		}
		for _, bad := range p.bad {
			i := slices.IndexFunc(p.good, func(good *unstructured.Unstructured) bool {
				return good.GetKind() == bad.GetKind()
			})
			if i < 0 {
				continue
			}
			if _, err := server.write(t, p.namespace(), bad, p.good[i]); err == nil {
				t.Errorf("%s: %s may be updated to %s", p.name, p.good[i].GetName(), bad.GetName())
			}
		}
	}
}

func TestDisablingIsAskedForOnlyWhereTheNamespaceSaysSo(t *testing.T) {
	for _, p := range readPolicies(t) {
		if p.name != "require-disable-pprof" {
			continue
		}
		server := newAPIServer(t, p.with(registration.Deny))
		for _, bad := range p.bad {
			if _, err := server.write(t, "plain", bad, nil); err != nil {
				t.Error(err)
			}
		}
	}
}

// What the chart makes passes, but for the digest, which only a registry knows.
func TestChartsObjectsPass(t *testing.T) {
	goldens, _ := filepath.Glob("../chart/golden/*.yaml")
	policies := readPolicies(t)
	server := newAPIServer(t, policies...)
	isValues := func(file string) bool { return strings.HasSuffix(file, ".values.yaml") }
	for _, file := range slices.DeleteFunc(goldens, isValues) {
		for _, object := range objects(t, file) {
			kind := object.GroupVersionKind()
			if _, err := server.mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
				continue // of those that no policy knows
			}
			shown, err := server.write(t, "plain", object, nil)
			shown = slices.DeleteFunc(shown, func(text string) bool {
				return strings.Contains(text, "'image-by-digest.extproc'") ||
					// Its values ask for the node's network.
					filepath.Base(file) == "everything.yaml" && strings.Contains(text, "hostNetwork")
			})
			if err != nil || len(shown) != 0 {
				t.Errorf("%s: %s %s: %v %q", file, object.GetKind(), object.GetName(), err, shown)
			}
		}
	}
	if len(goldens) == 0 {
		t.Fatal("there is nothing of the chart")
	}
}

// Who applies a policy reads its first line, and looks for it in the README.
func TestPoliciesSayFirstWhatTheyFind(t *testing.T) {
	readme := read(t, folder+"/README.md")
	for _, p := range readPolicies(t) {
		if !strings.Contains(readme, "\n| `"+p.name+"` | ") {
			t.Errorf("README.md has no line about %s", p.name)
		}
		first, _, _ := strings.Cut(read(t, folder+"/admission/"+p.name+"/policy.yaml"), "\n")
		if !strings.Contains(strings.ToLower(first), "finds ") {
			t.Errorf("%s: %s", p.name, first)
		}
	}
}
