// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Of two pods one may be evicted, as `kubectl drain` does it; the second one only when another one
// serves in place of the first.
func TestEvictionHonoursTheBudget(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	r.install("")
	for _, budget := range []string{"", "--set extProc.podDisruptionBudget.minAvailable=1"} {
		what := "by default"
		if budget != "" {
			r.upgrade(budget)
			what = budget
		}
		eventually(t, func() string { return n.allows(1) })
		pods := r.pods()
		if len(pods) != 2 {
			t.Fatalf("%d pods serve", len(pods))
		}
		first, second := pods[0], pods[1]
		if err := n.evict(first); err != nil {
			t.Fatalf("%s: the first pod: %v", what, err)
		}
		show("%s: %s is evicted", what, first.Name)
		err := n.evict(second)
		if !errors.IsTooManyRequests(err) || !strings.Contains(err.Error(), "disruption budget") {
			t.Fatalf("%s: the second pod at once: %v, want it refused by the budget", what, err)
		}
		show("%s: %s at once: %v", what, second.Name, err)
		eventually(t, func() string {
			err := n.evict(second)
			if err != nil && !errors.IsTooManyRequests(err) {
				t.Fatalf("%s: the second pod: %v", what, err)
			}
			return text(err)
		})
		isOld := func(found core.Pod) bool { return found.Name == first.Name || found.Name == second.Name }
		others := slices.DeleteFunc(r.pods(), isOld)
		if len(others) == 0 {
			t.Errorf("%s: both are evicted and nobody serves", what)
		}
		show("%s: %s is evicted once %d other serves", what, second.Name, len(others))
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (n namespace) evict(victim core.Pod) error {
	return client.CoreV1().Pods(n.name).EvictV1(short(n.t), &policy.Eviction{
		ObjectMeta: meta.ObjectMeta{Name: victim.Name, Namespace: n.name},
	})
}

// allows waits for the budget to allow so many disruptions.
func (n namespace) allows(count int32) string {
	budget, err := client.PolicyV1().PodDisruptionBudgets(n.name).Get(short(n.t), deployment, meta.GetOptions{})
	if err != nil {
		return err.Error()
	}
	if budget.Status.DisruptionsAllowed != count || budget.Status.ObservedGeneration != budget.Generation {
		return fmt.Sprintf("the budget allows %d disruptions", budget.Status.DisruptionsAllowed)
	}
	return ""
}
