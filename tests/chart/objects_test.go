// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// What other tools say about the objects that the chart makes.

// kubernetesVersions are those that the chart supports: from kubeVersion in Chart.yaml on, as far
// as there are schemas.
var kubernetesVersions = []string{"1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"}

func TestObjectsAreValidInEachKubernetes(t *testing.T) {
	schemas := tool(t, "kubernetes-schemas") +
		"/{{.NormalizedKubernetesVersion}}-local{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json"
	files, _ := filepath.Glob("../../policies/*/*.yaml")
	admission, _ := filepath.Glob("../../policies/admission/*/*.yaml")
	files = append(files, admission...)
	for name := range goldens(t) {
		files = append(files, "golden/"+name+".yaml")
	}
	for _, version := range kubernetesVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			// Kinds that are not Kubernetes' own are for tests/policies.
			arguments := []string{"-strict", "-kubernetes-version", version + ".0",
				"-skip", "HTTPRoute,GRPCRoute,TCPRoute,TLSRoute,UDPRoute,Backend,PodMonitor,EnvoyExtensionPolicy"}
			arguments = append(append(arguments, "-schema-location", schemas), files...)
			output, err := run(t, "", tool(t, "kubeconform"), arguments...)
			if err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

func TestChartNamesTheOldestKubernetes(t *testing.T) {
	oldest := `kubeVersion: ">=` + kubernetesVersions[0] + `.0-0"`
	if !strings.Contains(read(t, chartFolder+"/Chart.yaml"), oldest) {
		t.Errorf("Chart.yaml does not say %s", oldest)
	}
}

// pods returns the pods that documents make, by kind and name.
func pods(t *testing.T, rendering string) map[string]*corev1.Pod {
	t.Helper()
	all := map[string]*corev1.Pod{}
	for _, document := range documents(t, rendering) {
		kind := document["kind"].(string)
		name := kind + "/" + document["metadata"].(map[string]any)["name"].(string)
		source := any(document)
		switch kind {
		case "Deployment":
			source = document["spec"].(map[string]any)["template"]
		case "Pod":
		default:
			continue
		}
		text, err := json.Marshal(source)
		if err != nil {
			t.Fatal(err)
		}
		var pod struct {
			metav1.ObjectMeta `json:"metadata"`
			Spec              corev1.PodSpec
		}
		if err := json.Unmarshal(text, &pod); err != nil {
			t.Fatal(err)
		}
		all[name] = &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
	}
	return all
}

func TestPodsSatisfyTheRestrictedPodSecurityStandard(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	forbidden := func(pod *corev1.Pod) string {
		results := evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)
		all := policy.AggregateCheckResults(results)
		return all.ForbiddenDetail()
	}
	for name, values := range goldens(t) {
		rendering := mustTemplate(t, "helm4", values)
		for pod, spec := range pods(t, rendering) {
			t.Run(name+"/"+pod, func(t *testing.T) {
				detail := forbidden(spec)
				// The values of that case ask for it; and so we see that the evaluator can say no.
				if spec.Spec.HostNetwork {
					if !strings.Contains(detail, "hostNetwork=true") {
						t.Errorf("the node's network is not forbidden: %q", detail)
					}
					return
				}
				if detail != "" {
					t.Error(detail)
				}
			})
		}
	}
}

func TestPodsHaveNoToken(t *testing.T) {
	for name, values := range goldens(t) {
		for pod, spec := range pods(t, mustTemplate(t, "helm4", values)) {
			if token := spec.Spec.AutomountServiceAccountToken; token == nil || *token {
				t.Errorf("%s: %s mounts a token", name, pod)
			}
		}
	}
}

// notFollowed are rules of kube-score that the chart does not follow, with the reason.
var notFollowed = map[string]string{
	"container-image-pull-policy":                   "a version does not change; there is a value",
	"container-resources":                           "a CPU limit throttles requests",
	"container-ephemeral-storage-request-and-limit": "it writes no file",
	"pod-probes-identical":                          "liveness fails much later; see the template",
	"deployment-has-host-podantiaffinity":           "a Service's pods are spread by default",
}

func score(t *testing.T, rendering string) string {
	t.Helper()
	arguments := []string{"score", "--output-format", "ci", "--kubernetes-version", "v1.32"}
	for _, rule := range []string{"container-seccomp-profile", "container-ports-check"} {
		arguments = append(arguments, "--enable-optional-test", rule)
	}
	for _, rule := range slices.Sorted(maps.Keys(notFollowed)) {
		arguments = append(arguments, "--ignore-test", rule)
	}
	output, _ := run(t, rendering, tool(t, "kube-score"), append(arguments, "-")...)
	var critical []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "[CRITICAL]") {
			critical = append(critical, line)
		}
	}
	if !strings.Contains(output, "[OK]") {
		t.Fatalf("no verdict:\n%s", output)
	}
	return strings.Join(critical, "")
}

// It also looks whether the NetworkPolicy selects the pods, and the Service too.
func TestKubeScoreFindsNothing(t *testing.T) {
	for _, name := range []string{"default", "disabled", "loopback", "strict"} {
		t.Run(name, func(t *testing.T) {
			rendering := mustTemplate(t, "helm4", goldens(t)[name], "--skip-tests")
			if complaints := score(t, rendering); complaints != "" {
				t.Error(complaints)
			}
		})
	}
}

func TestKubeScoreMissesThePolicyWhereThereIsNone(t *testing.T) {
	values := "{networkPolicy: {enabled: false}, extProc: {pprof: {expose: loopback}}}"
	complaints := score(t, mustTemplate(t, "helm4", values, "--skip-tests"))
	if !strings.Contains(complaints, "NetworkPolicy") {
		t.Errorf("it says: %q", complaints)
	}
}
