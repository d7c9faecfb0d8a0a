// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// only returns the one document of a kind.
func only(t *testing.T, stream, kind string) map[string]any {
	t.Helper()
	isOther := func(document map[string]any) bool { return document["kind"] != kind }
	all := slices.DeleteFunc(documents(t, stream), isOther)
	if len(all) != 1 {
		t.Fatalf("%d of kind %s", len(all), kind)
	}
	return all[0]
}

func TestPolicyForKubectlIsTheChartsOwn(t *testing.T) {
	charts := only(t, mustTemplate(t, "helm4", "{}"), "NetworkPolicy")
	kubectls := only(t, read(t, "../../policies/network/chart.yaml"), "NetworkPolicy")
	if !reflect.DeepEqual(charts["spec"], kubectls["spec"]) {
		t.Errorf("the chart makes\n%v\nnetwork/chart.yaml has\n%v", charts["spec"], kubectls["spec"])
	}
	// With the same name it would belong to two owners, and `helm install` would refuse to take it
	// over.
	name := func(policy map[string]any) any { return policy["metadata"].(map[string]any)["name"] }
	if name(charts) == name(kubectls) {
		t.Errorf("both are named %v", name(charts))
	}
}

// Who applies a policy reads its first line.
func TestPoliciesSayFirstWhatTheyCut(t *testing.T) {
	for _, file := range []string{"chart", "stock-gateway"} {
		text := read(t, "../../policies/network/"+file+".yaml")
		if !strings.HasPrefix(text, "# Cuts every port ") {
			t.Errorf("%s: its first line does not say it", file)
		}
	}
}

// endPort is ignored by some network plugins and cut to its first port by others.
func TestPoliciesNameSinglePorts(t *testing.T) {
	texts := map[string]string{
		"chart":         read(t, "../../policies/network/chart.yaml"),
		"stock-gateway": read(t, "../../policies/network/stock-gateway.yaml"),
	}
	for name, values := range goldens(t) {
		texts["golden "+name] = mustTemplate(t, "helm4", values)
	}
	for name, text := range texts {
		if strings.Contains(text, "endPort") {
			t.Errorf("%s has an endPort", name)
		}
	}
}
