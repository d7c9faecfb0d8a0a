// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"os"
	"strings"
	"testing"
)

// The profile of policies/seccomp lies on the node, and the pod is given it by the values that
// policies/README.md has. The program puts its own filter on top.
func TestSeccompProfileOfTheNode(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	e := engine{n, os.Getenv("KIND_EXPERIMENTAL_PROVIDER")}
	for _, node := range strings.Fields(n.must("kubectl get nodes -o name", "")) {
		node = strings.TrimPrefix(node, "node/")
		e.do("exec " + node + " mkdir -p /var/lib/kubelet/seccomp")
		e.do("cp ../../policies/seccomp/extproc.json " + node + ":/var/lib/kubelet/seccomp/extproc.json")
	}
	r := release{n, "helm"}
	r.install("--set extProc.replicaCount=1 --set extProc.podSecurityContext.seccompProfile.type=Localhost " +
		"--set extProc.podSecurityContext.seccompProfile.localhostProfile=extproc.json " +
		"--set 'extProc.extraEnvVars[0].name=EXTPROC_SANDBOX,extProc.extraEnvVars[0].value=required'")
	if profile := r.pods()[0].Spec.SecurityContext.SeccompProfile; profile == nil || profile.LocalhostProfile == nil {
		t.Errorf("the pod has the seccomp profile %v", profile)
	}
	needPort(t, pprofPort)
	checkProfiles(t, n.startForward("kubectl port-forward deployment/envoy-ai-gateway-extproc 6060:6060"))
	if logs := n.must("kubectl logs deployment/envoy-ai-gateway-extproc", ""); strings.Contains(logs, "system call") {
		t.Errorf("the program says:\n%s", logs)
	}
}
