// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"strings"
	"testing"
)

// What the defaults leave out, all in one pod.
const manyValues = `
commonAnnotations: {example.com/owner: platform}
extProc:
  replicaCount: 1
  models: {existingConfigMap: models, key: list}
  connectionLimit: 1000
  totalStreamLimit: 2000
  extraListeners: ["unix:///run/extproc/extproc.sock"]
  extraEnvFrom: [{configMapRef: {name: settings}}]
  extraVolumes: [{name: sockets, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]
  extraVolumeMounts: [{name: sockets, mountPath: /run/extproc}]
  metrics: {scrapeAnnotations: true}
  pprof: {scrapeAnnotations: true}
  startupProbe: {periodSeconds: 2}
  livenessProbe: {failureThreshold: 9}
  drain: {delaySeconds: 1, deadlineSeconds: 5}
  terminationGracePeriodSeconds: 8
  strategy: {type: Recreate}
`

// The API server takes them and the program has them; the chart's variables beat those of a ConfigMap,
// and DISABLE_PPROF counts from there, too. Models are read again without a restart.
func TestValuesReachTheProgram(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	n.must("kubectl create configmap models --from-literal=list=one,two", "")
	n.must("kubectl create configmap settings --from-literal=DISABLE_PPROF= --from-literal=EXTPROC_CONNECTIONS=9", "")
	r.install("-f " + n.file("many.yaml", manyValues))
	before := r.pods()[0]

	metrics := r.inside("wget -q -O - http://127.0.0.1:1064/metrics")
	for _, line := range []string{"extproc_connections_limit 1000", "extproc_streams_limit 2000"} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("/metrics has no %s:\n%s", line, metrics)
		}
	}
	visitor := n.visitor("visitor", map[string]string{clientLabel: "true"})
	eventually(t, func() string {
		found, err := visitor.try(before.Status.PodIP, adminPort, pprofPort)
		if err != nil {
			return err.Error()
		}
		if found[0] != open || found[1] != refused {
			return "disabled by a ConfigMap: the admin port is " + found[0] + ", pprof's " + found[1]
		}
		return ""
	})

	n.must(`kubectl patch configmap models --patch '{"data":{"list":"one,two,three"}}'`, "")
	r.wakeKubelet()
	logs := ""
	eventually(t, func() string {
		logs = n.must("kubectl logs deployment/"+deployment+" --container=extproc", "")
		if !strings.Contains(logs, "models=3") {
			return "three models are read"
		}
		return ""
	})
	if !strings.Contains(logs, "unix:///run/extproc/extproc.sock") {
		t.Errorf("no socket is listened on:\n%s", logs)
	}
	if after := r.pods()[0]; after.Name != before.Name || after.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("%s became %s", before.Name, after.Name)
	}
}
