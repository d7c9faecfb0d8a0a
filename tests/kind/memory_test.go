// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const tightValues = `
extProc:
  resources:
    requests: { cpu: 10m, memory: 16Mi }
    limits: { memory: 16Mi }
  bodyLimit: 1Mi
  podSecurityContext: { runAsUser: 1234567, runAsGroup: 7654321 }
  drain: { delaySeconds: 0, deadlineSeconds: 1 }
`

// 16 MiB are enough for light traffic and for whoever looks: no capabilities, nothing to write to, a
// user that nobody has heard of. Then somebody sets what the chart refuses, more for bodies than
// there is memory, and bodies come: the kernel kills one container, and nothing else notices for long.
func TestMemoryLimitHoldsAndKillsOneContainerOnly(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	r.install("-f " + n.file("values.yaml", tightValues))
	peers := n.envoy(serviceAddress(n))
	eventually(t, func() string { return n.progress(peers, 200) })
	for _, served := range r.pods() {
		f := n.startForward("kubectl port-forward pod/" + served.Name + " :6060")
		if output := n.must("go tool pprof -top "+f.url+"/debug/pprof/heap", ""); !strings.Contains(output, "Type: inuse_space") {
			t.Errorf("heap of %s:\n%s", served.Name, output)
		}
		checkProfiles(t, f)
		if again := n.restarts(served.Name); again != 0 {
			t.Errorf("%s was started again %d times", served.Name, again)
		}
	}
	if tokens := n.sum(r.pods(), "extproc_tokens_total"); tokens == 0 {
		t.Error("no token was counted")
	}
	show("16 MiB, a user of no name: %d requests, profiles read, no restart", n.counts(peers).Sent)

	n.must("kubectl set env deployment/"+deployment+" EXTPROC_TOTAL_BODY_LIMIT=1Gi", "")
	n.must("kubectl rollout status --timeout=170s deployment/"+deployment, "")
	serving := r.pods()
	victim := n.calledBy(peers, r)
	said, err := peers.exec("requests", "/load", "--address", fmt.Sprintf("%s:%d", victim.Status.PodIP, grpcPort),
		"--kind", "1m", "--streams", "256", "--requests", "256")
	if err == nil {
		t.Errorf("256 bodies of a megabyte at once did no harm: %s", said)
	}
	eventually(t, func() string { return n.wasKilledOnce(victim.Name) })

	// What failed is told a second later; then nothing fails any more.
	during := n.counts(peers)
	eventually(t, func() string { return n.progress(peers, during.Sent+200) })
	after := n.counts(peers)
	eventually(t, func() string { return n.progress(peers, after.Sent+200) })
	last := n.counts(peers)
	show("over the limit: OOMKilled and started again; %d of Envoy's requests failed, then %d of %d",
		after.Failed, last.Failed-after.Failed, last.Sent-after.Sent)
	if last.Failed != after.Failed {
		t.Errorf("requests fail on: %s", last.FirstFailure)
	}
	for _, other := range serving {
		if again := n.restarts(other.Name); other.Name != victim.Name && again != 0 {
			t.Errorf("the other one, %s, was started again %d times", other.Name, again)
		}
	}
	if again := n.restarts(peers.name); again != 0 {
		t.Errorf("Envoy, or who is with it, was started again %d times", again)
	}
}

// sum adds up the samples of a metric, whatever their labels, over pods.
func (n namespace) sum(pods []core.Pod, metric string) (total float64) {
	n.t.Helper()
	for _, served := range pods {
		text, err := client.CoreV1().Pods(n.name).ProxyGet("http", served.Name, fmt.Sprint(adminPort), "/metrics",
			nil).DoRaw(short(n.t))
		if err != nil {
			n.t.Fatalf("metrics of %s: %v", served.Name, err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			rest, is := strings.CutPrefix(lines.Text(), metric)
			if !is || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
				continue
			}
			value, err := strconv.ParseFloat(rest[strings.LastIndex(rest, " ")+1:], 64)
			if err != nil {
				n.t.Fatalf("%s: %v", lines.Text(), err)
			}
			total += value
		}
	}
	return total
}

// calledBy is the pod of the release that Envoy's requests go to at the moment.
func (n namespace) calledBy(peers pod, r release) (called core.Pod) {
	n.t.Helper()
	before := map[string]float64{}
	eventually(n.t, func() string {
		for _, served := range r.pods() {
			now := n.sum([]core.Pod{served}, "extproc_requests_total")
			if earlier, is := before[served.Name]; is && now > earlier {
				called = served
				return ""
			}
			before[served.Name] = now
		}
		return "Envoy calls nobody"
	})
	return called
}

// wasKilledOnce says what is missing to that: killed for its memory, started again, and ready.
func (n namespace) wasKilledOnce(pod string) string {
	found, err := client.CoreV1().Pods(n.name).Get(short(n.t), pod, meta.GetOptions{})
	if err != nil {
		return err.Error()
	}
	status := found.Status.ContainerStatuses[0]
	ended := status.LastTerminationState.Terminated
	if status.RestartCount != 1 || ended == nil || ended.Reason != "OOMKilled" || !status.Ready {
		return fmt.Sprintf("started again %d times, ready: %v, ended: %v", status.RestartCount, status.Ready, ended)
	}
	return ""
}
