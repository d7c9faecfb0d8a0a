// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"sync"
	"testing"
	"time"

	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCanaryDenyAllBlocks(t *testing.T) {
	timed(t)
	if why := whyPoliciesDoNothing(t); why != "" {
		t.Fatalf("THIS CLUSTER DOES NOT ENFORCE NETWORKPOLICIES: %s", why)
	}
}

var canary struct {
	sync.Once
	verdict string
}

// whyPoliciesDoNothing finds out, once, whether this cluster blocks what a policy denies: a test of
// policies on one that does not would be a test of nothing. Returns "" if it does.
func whyPoliciesDoNothing(t *testing.T) string {
	t.Helper()
	canary.Do(func() { canary.verdict = sendCanary(t) })
	return canary.verdict
}

// Two servers, one of them behind a policy that lets nobody in. While the client gets through to
// the other one, it must not to this one.
func sendCanary(t *testing.T) string {
	t.Helper()
	n := newNamespace(t)
	free := n.server("free", nil, ":1063")
	denied := n.server("denied", map[string]string{"canary": "denied"}, ":1063")
	from := n.visitor("visitor", nil)
	ports := []int{grpcPort, adminPort, pprofPort}
	find := func(server pod, isRight func(state string) bool) string {
		found, err := from.try(server.address, ports...)
		if err != nil {
			return err.Error()
		}
		for i, state := range found {
			if !isRight(state) {
				return fmt.Sprintf("port %d of the pod %s is %s", ports[i], server.name, state)
			}
		}
		return ""
	}
	isOpen := func(state string) bool { return state == open }

	eventually(t, func() string { return find(denied, isOpen) })
	_, err := client.NetworkingV1().NetworkPolicies(n.name).Create(short(t), &networking.NetworkPolicy{
		ObjectMeta: meta.ObjectMeta{Name: "deny-all"},
		Spec: networking.NetworkPolicySpec{
			PodSelector: meta.LabelSelector{MatchLabels: map[string]string{"canary": "denied"}},
			PolicyTypes: []networking.PolicyType{networking.PolicyTypeIngress},
		},
	}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return within(30*time.Second, func() string {
		if wrong := find(denied, isClosed); wrong != "" {
			return wrong
		}
		return find(free, isOpen)
	})
}
