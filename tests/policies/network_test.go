// SPDX-License-Identifier: Apache-2.0

package policies

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// expectations is reach.yaml, which tests/kind reads too.
type expectations struct {
	Clients []struct {
		Title, Namespace string
		Labels           map[string]string
	}
	Tables []table
}

type table struct {
	Mode   string
	Values map[string]any    // of the chart; absent: no chart
	Policy string            // in policies/network
	Pod    map[string]string // labels of the one that is reached, where there is no chart
	Ports  []int
	Shut   int
	Reach  map[string][]string
}

func readExpectations(t *testing.T) *expectations {
	t.Helper()
	var all expectations
	if err := yaml.UnmarshalStrict([]byte(read(t, "reach.yaml")), &all); err != nil {
		t.Fatal(err)
	}
	return &all
}

// render returns what Helm makes of the chart.
func render(t *testing.T, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	path, err := exec.Command("../chart/tools.sh", "helm4").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(strings.TrimSpace(string(path)),
		"template", "envoy-ai-gateway", "../../charts/envoy-ai-gateway", "--values", "-")
	command.Stdin = strings.NewReader(string(text))
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(output))
}

// world is a pod that may be reached, and the policies of its namespace.
type world struct {
	labels   map[string]string
	names    map[int]string // of ports
	policies []*networking.NetworkPolicy
}

func (w *world) add(t *testing.T, objects ...*unstructured.Unstructured) {
	t.Helper()
	into := func(object *unstructured.Unstructured, typed any) {
		convert := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation
		err := convert(object.Object, typed, true)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, object := range objects {
		switch object.GetKind() {
		case "NetworkPolicy":
			policy := &networking.NetworkPolicy{}
			into(object, policy)
			policy.Namespace = "home"
			w.policies = append(w.policies, policy)
		case "Deployment":
			var deployment apps.Deployment
			into(object, &deployment)
			w.labels = deployment.Spec.Template.Labels
			for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
				w.names[int(port.ContainerPort)] = port.Name
			}
		}
	}
}

// reaches has the evaluator judge whether a pod gets through to a port.
func (w *world) reaches(namespace string, labels map[string]string, address string, port int) bool {
	peer := func(namespace string, labels map[string]string, address string) *matcher.TrafficPeer {
		if namespace == "" {
			return &matcher.TrafficPeer{IP: address}
		}
		return &matcher.TrafficPeer{IP: address, Internal: &matcher.InternalPeer{
			PodLabels: labels, Namespace: namespace,
			NamespaceLabels: map[string]string{"kubernetes.io/metadata.name": namespace},
		}}
	}
	return matcher.BuildNetworkPolicies(false, w.policies).IsTrafficAllowed(&matcher.Traffic{
		Source:      peer(namespace, labels, address),
		Destination: peer("home", w.labels, "192.0.2.1"),
		Protocol:    core.ProtocolTCP, ResolvedPort: port, ResolvedPortName: w.names[port],
	}).IsAllowed()
}

func TestPoliciesLetThroughWhomTheTableNames(t *testing.T) {
	expected := readExpectations(t)
	for _, table := range expected.Tables {
		t.Run(table.Mode, func(t *testing.T) {
			w := &world{labels: table.Pod, names: map[int]string{}}
			if table.Values != nil {
				w.add(t, render(t, table.Values)...)
			}
			if table.Policy != "" {
				w.add(t, objects(t, folder+"/network/"+table.Policy)...)
			}
			lines := []string{fmt.Sprintf("%-36s", table.Mode)}
			for _, port := range table.Ports {
				lines[0] += fmt.Sprintf("  %-16d", port)
			}
			for _, client := range expected.Clients {
				row := table.Reach[client.Title]
				line := fmt.Sprintf("  %-34s", client.Title)
				for i, port := range table.Ports {
					judged := "closed"
					if w.reaches(client.Namespace, client.Labels, "192.0.2.2", port) {
						judged = "open"
					}
					line += fmt.Sprintf("  %-6s %-9s", row[i], judged)
					if judged != row[i] {
						t.Errorf("%s: port %d is %s, expected %s", client.Title, port, judged, row[i])
					}
				}
				lines = append(lines, line)
			}
			show(t, lines...)
		})
	}
}

// show prints lines for whoever runs the tests, also when all is well.
func show(t *testing.T, lines ...string) {
	t.Helper()
	text := "  " + strings.Join(lines, "\n  ") + "\n"
	t.Log("\n" + text)
	path := os.Getenv("POLICIES_REPORT")
	if path == "" {
		return
	}
	report, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	if _, err := report.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// Whatever the values: who is not named does not profile.
func TestStrangersNeverReachPprof(t *testing.T) {
	files, _ := filepath.Glob("../chart/golden/*.values.yaml")
	guarded := 0
	for _, file := range files {
		var values map[string]any
		if err := yaml.Unmarshal([]byte(read(t, file)), &values); err != nil {
			t.Fatal(err)
		}
		w := &world{names: map[int]string{}}
		w.add(t, render(t, values)...)
		if w.policies == nil {
			continue
		}
		guarded++
		for _, stranger := range []struct {
			namespace, address string
		}{{"home", "192.0.2.2"}, {"other", "192.0.2.2"}, {"", "198.51.100.1"}, {"", "10.0.0.1"}} {
			if w.reaches(stranger.namespace, map[string]string{"app": "any"}, stranger.address, 6060) {
				t.Errorf("%s: %v reaches 6060", file, stranger)
			}
		}
	}
	if guarded < 2 {
		t.Errorf("%d renderings have a policy", guarded)
	}
}
