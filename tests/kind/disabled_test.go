// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What users of the Envoy AI Gateway's chart write.
const disablingValues = `extProc:
  extraEnvVars:
    - name: DISABLE_PPROF
      value: "true"
`

func TestDisabledMeansAbsent(t *testing.T) {
	for _, helm := range []string{"helm3", "helm"} {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			timed(t)
			n := newNamespace(t)
			r := release{n, helm}
			r.install("")
			checkEnabled(t, r)
			r.upgrade("-f " + n.file("values.yaml", disablingValues))
			checkDisabled(t, r)
			r.upgrade("")
			checkEnabled(t, r)
			r.helmRun("rollback " + releaseName + " 2" + wait)
			checkDisabled(t, r)
		})
	}
}

func checkEnabled(t *testing.T, r release) {
	t.Helper()
	if !mentionsPprof(r) {
		t.Error("enabled, and no object mentions 6060")
	}
	f := r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
	if status, body := f.get("/debug/pprof/"); status != 200 {
		t.Errorf("enabled, port-forward: %d %s", status, body)
	}
}

func checkDisabled(t *testing.T, r release) {
	t.Helper()
	// In the pod's own network namespace, where no policy stands in between; gRPC is there.
	said := r.inside("for port in 6060 1063; do nc -vvz -w 2 127.0.0.1 $port 2>&1; echo exit $?; done")
	var codes []string
	for _, line := range linesWith(said, "exit ") {
		codes = append(codes, strings.TrimPrefix(line, "exit "))
	}
	if fmt.Sprint(codes) != "[1 0]" || !strings.Contains(said, "refused") {
		t.Errorf("disabled, 6060 and 1063 in the pod's network: %s", said)
	}
	f := r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
	if status, body := f.get("/debug/pprof/"); status != 0 {
		t.Errorf("disabled, port-forward: %d %s", status, body)
	}
	eventually(t, func() string {
		if !strings.Contains(f.output.String(), "refused") {
			return "disabled, and kubectl port-forward says: " + f.output.String()
		}
		return ""
	})
	// /health asks the gRPC listener for real.
	r.helmRun("test " + releaseName)
	if mentionsPprof(r) {
		t.Error("disabled, and an object mentions 6060")
	}
	for _, pod := range r.pods() {
		log, err := client.CoreV1().Pods(r.name).GetLogs(pod.Name, &core.PodLogOptions{}).DoRaw(short(t))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(log), "pprof is disabled") {
			t.Errorf("%s does not say that pprof is disabled:\n%s", pod.Name, log)
		}
	}
}

// mentionsPprof says whether a pod's ports or the policy have anything about 6060; they must agree.
func mentionsPprof(r release) bool {
	r.t.Helper()
	isPort := false
	for _, pod := range r.pods() {
		for _, port := range pod.Spec.Containers[0].Ports {
			isPort = isPort || port.ContainerPort == pprofPort
		}
	}
	policy, err := client.NetworkingV1().NetworkPolicies(r.name).Get(short(r.t), deployment, meta.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	isRule := false
	for _, rule := range policy.Spec.Ingress {
		for _, port := range rule.Ports {
			isRule = isRule || port.Port.IntValue() == pprofPort
		}
	}
	if isPort != isRule {
		r.t.Errorf("the pods' ports have 6060: %v; the policy has it: %v", isPort, isRule)
	}
	return isPort
}
