// SPDX-License-Identifier: Apache-2.0

package kind

import "testing"

// As the chart's README has them.
const (
	switchCommand = "kubectl create configmap pprof --from-literal=pprof=off"
	openCommand   = `kubectl patch configmap pprof --patch '{"data":{"pprof":"on"}}'`
)

// A ConfigMap opens and closes the port without a restart, by the commands of the chart's README.
func TestSwitchOfAConfigMap(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	n.must(switchCommand, "")
	r.install("--set extProc.replicaCount=1 --set extProc.pprof.switch.existingConfigMap=pprof")
	visitor := n.visitor("visitor", map[string]string{clientLabel: "true"})
	before := r.pods()[0]
	check := func(what string, isRight func(state string) bool) {
		t.Helper()
		eventually(t, func() string {
			found, err := visitor.try(before.Status.PodIP, adminPort, pprofPort)
			if err != nil {
				return err.Error()
			}
			if found[0] != open || !isRight(found[1]) {
				return what + ": the admin port is " + found[0] + ", pprof's " + found[1]
			}
			return ""
		})
	}
	check("off", isClosed)
	n.must(openCommand, "")
	r.wakeKubelet()
	check("on", func(state string) bool { return state == open })
	n.must("kubectl delete configmap pprof", "")
	n.must(switchCommand, "")
	r.wakeKubelet()
	check("off again", isClosed)
	after := r.pods()[0]
	if after.Name != before.Name || after.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("%s became %s, %d restarts", before.Name, after.Name, after.Status.ContainerStatuses[0].RestartCount)
	}
}
