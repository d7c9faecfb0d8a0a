// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The delay is longer than this test looks; who is slower than that fails, rather than sees nothing.
const patientValues = `
extProc:
  drain: { delaySeconds: 170 }
  readinessProbe: { periodSeconds: 1, failureThreshold: 1 }
`

// What the Service says of a pod is true: it is taken out while it still takes requests, whoever
// sent it the signal; it is in again only when gRPC answers; one that can't serve is never in.
func TestReadinessTellsTheTruth(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	visitor := n.visitor("visitor", nil)
	r.install("-f " + n.file("values.yaml", patientValues))
	pod, other := r.pods()[0], r.pods()[1]
	// Straight to the pod: what the Service does not show any more is still asked.
	peers := n.envoy(pod.Status.PodIP)
	before := counts{}
	row := func(what string) {
		t.Helper()
		show("%-34s %-55s kubectl get pods: %s", what, n.endpoint(pod.Status.PodIP), n.column(pod.Name))
	}
	isOut := func(what, want string) {
		t.Helper()
		eventually(t, func() string {
			if said := n.endpoint(pod.Status.PodIP); said != want {
				return fmt.Sprintf("%s: %s, want %s", what, said, want)
			}
			return ""
		})
		during := n.counts(peers)
		eventually(t, func() string { return n.progress(peers, during.Sent+50) })
		row(what)
		if after := n.counts(peers); after.Failed != before.Failed {
			t.Errorf("%s: %d requests failed: %s", what, after.Failed-before.Failed, after.FirstFailure)
		}
	}
	const ready, notReady = "ready=true serving=true terminating=false", "ready=false serving=false terminating=false"
	isOut("ready", ready)

	// A signal from inside: the kubelet learns of it by the probe alone.
	r.insideOf(pod.Name, "kill -TERM 1")
	isOut("told to end from inside", notReady)
	r.insideOf(pod.Name, "kill -TERM 1")
	eventually(t, func() string {
		if n.restarts(pod.Name) == 0 {
			return "it was not started again"
		}
		if said := n.endpoint(pod.Status.PodIP); said != ready {
			return "started again: " + said
		}
		return ""
	})
	if said, err := visitor.exec("visitor", "/extproc", "healthcheck", fmt.Sprintf("grpc://%s:%d", pod.Status.PodIP, grpcPort)); err != nil {
		t.Errorf("ready, and gRPC does not answer: %v %s", err, said)
	}
	row("started again")

	// Requests failed while it was away: nothing else was asked.
	again := n.counts(peers)
	eventually(t, func() string { return n.progress(peers, again.Sent+50) })
	before = n.counts(peers)
	if err := client.CoreV1().Pods(n.name).Delete(short(t), pod.Name, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	isOut("deleted, draining", "ready=false serving=false terminating=true")
	n.kill(pod)

	// A setting that the program refuses: the new pod is never in, and an old one goes on.
	n.must("kubectl set env deployment/"+deployment+" EXTPROC_STREAMS=nonsense", "")
	broken := n.broken()
	pod = broken
	row("a setting that is refused")
	if said := n.endpoint(broken.Status.PodIP); strings.Contains(said, "ready=true") {
		t.Errorf("a pod that can't serve: %s", said)
	}
	if said := n.endpoint(other.Status.PodIP); said != ready {
		t.Errorf("the pod from before: %s", said)
	}

	// Nobody waits for what drains.
	n.must("kubectl delete deployment "+deployment, "")
	eventually(t, func() string {
		left := r.allPods()
		for _, pod := range left {
			n.kill(pod)
		}
		if len(left) != 0 {
			return fmt.Sprintf("%d pods are left", len(left))
		}
		return ""
	})
}

// endpoint is what the Service's slices say of an address.
func (n namespace) endpoint(address string) string {
	n.t.Helper()
	list, err := client.DiscoveryV1().EndpointSlices(n.name).List(short(n.t),
		meta.ListOptions{LabelSelector: "kubernetes.io/service-name=" + deployment})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if slices.Contains(endpoint.Addresses, address) {
				is := endpoint.Conditions
				return fmt.Sprintf("ready=%v serving=%v terminating=%v", *is.Ready, *is.Serving, *is.Terminating)
			}
		}
	}
	return "not listed"
}

// column is READY and STATUS of a pod as kubectl shows them.
func (n namespace) column(pod string) string {
	n.t.Helper()
	words := strings.Fields(n.must("kubectl get pods --no-headers "+pod, ""))
	return strings.Join(words[1:3], " ")
}

// kill ends a pod without its drain.
func (n namespace) kill(pod core.Pod) {
	n.t.Helper()
	client.CoreV1().Pods(n.name).Delete(short(n.t), pod.Name, meta.DeleteOptions{GracePeriodSeconds: of(int64(0))})
}

// broken waits for a pod whose program ended with 2, and for its log to name the setting.
func (n namespace) broken() (found core.Pod) {
	n.t.Helper()
	eventually(n.t, func() string {
		for _, pod := range (release{namespace: n}).allPods() {
			for _, status := range pod.Status.ContainerStatuses {
				ended := status.State.Terminated
				if ended == nil {
					ended = status.LastTerminationState.Terminated
				}
				if ended != nil && ended.ExitCode == 2 {
					found = pod
					return ""
				}
			}
		}
		return "no pod ended with 2"
	})
	log, _ := n.attempt("kubectl logs "+found.Name, "")
	previous, _ := n.attempt("kubectl logs --previous "+found.Name, "")
	if !strings.Contains(log+previous, "EXTPROC_STREAMS") {
		n.t.Errorf("its log does not name the setting: %s%s", log, previous)
	}
	return found
}
