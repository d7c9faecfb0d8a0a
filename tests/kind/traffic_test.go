// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const backendPort = 9001

// Envoy in the cluster calls the processor in the cluster, through its Service. Pods are replaced
// under load, two replicas, and no request may fail.
func TestNoRequestFailsWhilePodsAreReplaced(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	r.install("")
	load := traffic{r, n.envoy(serviceAddress(n)), counts{}}
	load.replace("kubectl rollout restart", func() {
		n.must("kubectl rollout restart deployment/"+deployment, "")
		n.must("kubectl rollout status --timeout=170s deployment/"+deployment, "")
	})
	load.replace("helm upgrade that disables pprof", func() {
		r.upgrade("-f " + n.file("values.yaml", disablingValues))
	})
}

// traffic goes on from one replacement of pods to the next.
type traffic struct {
	release
	peers  pod
	before counts
}

// replace waits until all pods are others, with requests before, meanwhile and after; none may fail.
func (l *traffic) replace(what string, how func()) {
	l.t.Helper()
	eventually(l.t, func() string { return l.progress(l.peers, l.before.Sent+200) })
	old := map[string]bool{}
	for _, pod := range l.pods() {
		old[pod.Name] = true
	}
	how()
	eventually(l.t, func() string { return l.anyLeft(old) })
	during := l.counts(l.peers)
	eventually(l.t, func() string { return l.progress(l.peers, during.Sent+200) })
	after := l.counts(l.peers)
	show("%s: %d requests, %d failed", what, after.Sent-l.before.Sent, after.Failed-l.before.Failed)
	if after.Failed != l.before.Failed {
		l.t.Errorf("%s: %d of %d requests failed, the first one: %s", what,
			after.Failed-l.before.Failed, after.Sent-l.before.Sent, after.FirstFailure)
	}
	l.before = after
}

func serviceAddress(n namespace) string {
	service, err := client.CoreV1().Services(n.name).Get(short(n.t), deployment, meta.GetOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return service.Spec.ClusterIP
}

// anyLeft names the old pods that are not gone yet.
func (n namespace) anyLeft(old map[string]bool) string {
	list, err := client.CoreV1().Pods(n.name).List(short(n.t), meta.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, pod := range list.Items {
		if old[pod.Name] {
			return "still there: " + pod.Name
		}
	}
	return ""
}

// envoy starts one pod with Envoy, configured as for `make run`, a model's server behind it and
// what sends requests before it.
func (n namespace) envoy(extproc string) pod {
	n.t.Helper()
	template, err := os.ReadFile("../run/envoy.yaml.in")
	if err != nil {
		n.t.Fatal(err)
	}
	endpoint := func(address string, port int) string {
		return fmt.Sprintf("socket_address: { address: %s, port_value: %d }", address, port)
	}
	filled := strings.NewReplacer(
		"@ENVOY_PORT@", "10000", "@BUFFER_LIMIT@", "52428800", "@ACCESS_LOG@", "/dev/stdout",
		"@EXTPROC@", endpoint(extproc, grpcPort), "@BACKEND_A@", endpoint("127.0.0.1", backendPort),
		"@BACKEND_B@", endpoint("127.0.0.1", backendPort),
	).Replace(string(template))
	return n.run("peers", nil,
		container("envoy", peersImage, "/envoy", "--config-yaml", filled, "--concurrency", "1",
			"--disable-hot-restart", "--log-level", "warn"),
		container("backend", peersImage, "/backend", "--name", "a",
			"--listen", fmt.Sprintf("127.0.0.1:%d", backendPort)),
		container("requests", peersImage, "/requests"))
}

type counts struct {
	Sent, Failed int
	FirstFailure string `json:"first_failure"`
}

// counts are what the sender said last.
func (n namespace) counts(peers pod) counts {
	n.t.Helper()
	lines := int64(1)
	text, err := client.CoreV1().Pods(n.name).GetLogs(peers.name,
		&core.PodLogOptions{Container: "requests", TailLines: &lines}).DoRaw(short(n.t))
	if err != nil {
		n.t.Fatal(err)
	}
	var last counts
	if len(text) != 0 {
		if err := json.Unmarshal(text, &last); err != nil {
			n.t.Fatalf("%v: %s", err, text)
		}
	}
	return last
}

func (n namespace) progress(peers pod, sent int) string {
	n.t.Helper()
	if now := n.counts(peers); now.Sent < sent {
		return fmt.Sprintf("%d requests so far, want %d (%d failed: %s)",
			now.Sent, sent, now.Failed, now.FirstFailure)
	}
	return ""
}
