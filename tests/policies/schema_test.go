// SPDX-License-Identifier: Apache-2.0

package policies

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the expected files")

// definitions are where kinds that are not Kubernetes' own are defined: files in the Go modules of
// those who define them, which are fetched as they are pinned here.
var definitions = []struct{ module, sum, file string }{
	{"sigs.k8s.io/network-policy-api@v0.2.0", "h1:W/f0Y9VoeQdOWjX/h2gZyLH6gZ5LLEXmh/9wy9mQWKw=",
		"config/crd/standard/policy.networking.k8s.io_clusternetworkpolicies.yaml"},
	{"github.com/cilium/cilium@v1.20.2", "h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8=",
		"pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"},
	// Calico keeps projectcalico.org/v3 as crd.projectcalico.org/v1, with the same fields.
	{"github.com/projectcalico/calico@v1.11.0-cni-plugin.0.20250813170300-a0db560f0520",
		"h1:TXnPEzx4pLWgwzCetIO/VJuz4iBZZrOdNSv16a50YqE=",
		"libcalico-go/config/crd/crd.projectcalico.org_networkpolicies.yaml"},
	{"sigs.k8s.io/gateway-api@v1.6.3", "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
		"config/crd/standard/gateway.networking.k8s.io_*routes.yaml"},
	{"github.com/envoyproxy/gateway@v1.9.1", "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
		"charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_backends.yaml"},
	{"github.com/envoyproxy/gateway@v1.9.1", "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
		"charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_envoyextensionpolicies.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"},
}

// fetch returns the folder of a Go module, once its sum is as it is pinned.
func fetch(t *testing.T, module, sum string) string {
	t.Helper()
	command := exec.Command("go", "mod", "download", "-json", module)
	// Outside this module, whose go.sum does not have it; the sum is compared here.
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "GOFLAGS=-modcacherw", "GONOSUMDB=*")
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", module, err, output)
	}
	var answer struct{ Dir, Sum string }
	if err := json.Unmarshal(output, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Sum != sum {
		t.Fatalf("%s has the sum %s, and not %s", module, answer.Sum, sum)
	}
	return answer.Dir
}

// definition validates objects of one kind and version as an API server does that has it.
type definition struct {
	schema    validation.SchemaValidator
	structure *schema.Structural
}

func readDefinitions(t *testing.T) map[string]*definition {
	t.Helper()
	all := map[string]*definition{}
	for _, from := range definitions {
		files, _ := filepath.Glob(fetch(t, from.module, from.sum) + "/" + from.file)
		if len(files) == 0 {
			t.Fatalf("%s has no %s", from.module, from.file)
		}
		for _, file := range files {
			var custom extensions.CustomResourceDefinition
			if err := yaml.Unmarshal([]byte(read(t, file)), &custom); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, version := range custom.Spec.Versions {
				name := custom.Spec.Group + "/" + version.Name + " " + custom.Spec.Names.Kind
				all[name] = newDefinition(t, version.Schema)
			}
		}
	}
	return all
}

func newDefinition(t *testing.T, from *extensions.CustomResourceValidation) *definition {
	t.Helper()
	var internal apiextensions.CustomResourceValidation
	err := extensions.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
		from, &internal, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &definition{}
	if d.schema, _, err = validation.NewSchemaValidator(internal.OpenAPIV3Schema); err != nil {
		t.Fatal(err)
	}
	if d.structure, err = schema.NewStructural(internal.OpenAPIV3Schema); err != nil {
		t.Fatal(err)
	}
	return d
}

// complaints are unknown fields, wrong types and values, and what the definition's rules say.
func (d *definition) complaints(object *unstructured.Unstructured) []string {
	object = object.DeepCopy()
	defaulting.Default(object.Object, d.structure)
	var all []string
	for _, wrong := range validation.ValidateCustomResource(nil, object.Object, d.schema) {
		all = append(all, wrong.Error())
	}
	rules := cel.NewValidator(d.structure, true, celconfig.PerCallLimit)
	if rules != nil && all == nil {
		found, _ := rules.Validate(context.Background(), nil, d.structure, object.Object, nil,
			celconfig.RuntimeCELCostBudget)
		for _, wrong := range found {
			all = append(all, wrong.Error())
		}
	}
	unknown := pruning.PruneWithOptions(object.Object, d.structure, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, field := range unknown {
		all = append(all, "unknown field "+field)
	}
	return all
}

// What is not Kubernetes' own is not enforced in any test here: it is held to the schemas of those
// who enforce it, and to what the NetworkPolicies say.
func TestCustomObjectsAreValid(t *testing.T) {
	all := readDefinitions(t)
	files, _ := filepath.Glob(folder + "/network/*/*.yaml")
	samples, _ := filepath.Glob(folder + "/admission/no-[br]*/[bg]*.yaml")
	chartsGoldens, _ := filepath.Glob("../chart/golden/*[a-z].yaml")
	isValues := func(file string) bool { return strings.HasSuffix(file, ".values.yaml") }
	chartsGoldens = slices.DeleteFunc(chartsGoldens, isValues)
	charts := 0
	for _, file := range append(append(files, samples...), chartsGoldens...) {
		for _, object := range objects(t, file) {
			if slices.Contains(chartsGoldens, file) {
				// Of the chart's objects the others are Kubernetes' own, and for tests/chart.
				kind := object.GetKind()
				if kind != "PodMonitor" && kind != "EnvoyExtensionPolicy" {
					continue
				}
				charts++
			}
			name := object.GetAPIVersion() + " " + object.GetKind()
			if name == "projectcalico.org/v3 NetworkPolicy" {
				name = "crd.projectcalico.org/v1 NetworkPolicy"
			}
			if all[name] == nil {
				t.Errorf("%s: %s is not defined", file, name)
				continue
			}
			for _, wrong := range all[name].complaints(object) {
				t.Errorf("%s: %s: %s", file, object.GetName(), wrong)
			}
			// So that we see it can complain.
			spoilt := object.DeepCopy()
			unstructured.SetNestedField(spoilt.Object, "any", "spec", "no-such-field")
			if len(all[name].complaints(spoilt)) == 0 {
				t.Errorf("%s: nothing is wrong with an unknown field", name)
			}
		}
	}
	if len(files) != 6 || len(samples) != 4 || charts != 3 {
		t.Errorf("%d policies, %d samples, %d objects of the chart", len(files), len(samples), charts)
	}
}

// The same pods, the same label and the same port as in the NetworkPolicies, for each plugin.
func TestEachKindOfNetworkPolicyIsAboutTheSamePods(t *testing.T) {
	for _, which := range []string{"chart", "stock-gateway"} {
		first := objects(t, folder+"/network/"+which+".yaml")[0]
		labels, _, _ := unstructured.NestedStringMap(first.Object, "spec", "podSelector", "matchLabels")
		one := func(kind string) map[string]any {
			return objects(t, folder+"/network/"+kind+"/"+which+".yaml")[0].Object["spec"].(map[string]any)
		}
		selected := map[string]map[string]string{}
		cluster := one("cluster-network-policy")
		selected["cluster-network-policy"], _, _ = unstructured.NestedStringMap(cluster,
			"subject", "pods", "podSelector", "matchLabels")
		selected["cilium"], _, _ = unstructured.NestedStringMap(one("cilium"),
			"endpointSelector", "matchLabels")
		selected["calico"] = map[string]string{}
		for _, term := range strings.Split(one("calico")["selector"].(string), " && ") {
			key, value, _ := strings.Cut(term, " == ")
			selected["calico"][key] = strings.Trim(value, "'")
		}
		for kind, pods := range selected {
			if !reflect.DeepEqual(pods, labels) {
				t.Errorf("%s/%s selects %v, the NetworkPolicy %v", kind, which, pods, labels)
			}
			// No test here can tell what those rules do: a change of them is for people to read.
			spec, err := yaml.Marshal(one(kind))
			if err != nil {
				t.Fatal(err)
			}
			golden := "golden/" + kind + "-" + which + ".yaml"
			if *update {
				os.WriteFile(golden, spec, 0o644)
			}
			if read(t, golden) != string(spec) {
				t.Errorf("%s/%s is not as %s has it:\n%s", kind, which, golden, spec)
			}
		}
		// The ports that Calico's leaves open are those of the NetworkPolicy.
		if open, calicos := openPorts(first), calicoPorts(one("calico")); !slices.Equal(open, calicos) {
			t.Errorf("calico/%s opens %v, the NetworkPolicy %v", which, calicos, open)
		}
	}
}

func openPorts(policy *unstructured.Unstructured) []int64 {
	var all []int64
	rules, _, _ := unstructured.NestedSlice(policy.Object, "spec", "ingress")
	for _, rule := range rules {
		for _, port := range rule.(map[string]any)["ports"].([]any) {
			all = append(all, port.(map[string]any)["port"].(int64))
		}
	}
	slices.Sort(all)
	return all
}

func calicoPorts(spec map[string]any) []int64 {
	var all []int64
	for _, each := range spec["ingress"].([]any) {
		rule := each.(map[string]any)
		if rule["action"] != "Allow" {
			continue
		}
		for _, port := range rule["destination"].(map[string]any)["ports"].([]any) {
			all = append(all, port.(int64))
		}
	}
	slices.Sort(all)
	return all
}
