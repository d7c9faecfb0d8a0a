// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A policy takes effect a moment after it is made, and a new pod may be open until the network
// plugin has seen its address. So tables are polled until they hold, and then must go on holding.
const holds = 3

// table has a column for each port and a row for each client; a cell says whether that client gets
// through to that port.
type table struct {
	mode    string
	server  func() string // its address
	ports   []int
	clients []pod
	titles  []string // of the clients
	open    [][]bool
	shut    int // the port that is closed for all of them, or 0
}

// check waits until each cell is as expected, sees that it stays so, and shows the table in any
// case.
func (w *table) check(t *testing.T) {
	t.Helper()
	limit := deadline
	if whyPoliciesDoNothing(t) != "" {
		limit = 10 * time.Second
	}
	w.everyBlockHasAWayIn(t)
	var observed [][]string
	look := func() (wrong string) {
		observed = w.observe(t)
		for i, found := range observed {
			for j, state := range found {
				if w.open[i][j] != (state == open) || (state != open && !isClosed(state)) {
					wrong = fmt.Sprintf("%s: port %d is %s for %s", w.mode, w.ports[j], state, w.titles[i])
				}
			}
		}
		return wrong
	}
	wrong := within(limit, look)
	for i := 0; i < holds && wrong == ""; i++ {
		wrong = look()
	}
	w.show(observed)
	if wrong != "" {
		t.Error(wrong)
	}
}

// observe has all clients try all ports, at the same time.
func (w *table) observe(t *testing.T) [][]string {
	t.Helper()
	address := w.server()
	observed, failures := make([][]string, len(w.clients)), make([]error, len(w.clients))
	var group sync.WaitGroup
	for i, from := range w.clients {
		group.Go(func() { observed[i], failures[i] = from.try(address, w.ports...) })
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	return observed
}

// A closed port proves nothing by itself: at the same time somebody must get through to it. Where
// none of the clients does, the test finds another one.
func (w *table) everyBlockHasAWayIn(t *testing.T) {
	for j, port := range w.ports {
		reachable := false
		for i := range w.clients {
			reachable = reachable || w.open[i][j]
		}
		if !reachable && port != w.shut {
			t.Fatalf("%s: the table lets nobody through to port %d", w.mode, port)
		}
	}
}

func (w *table) show(observed [][]string) {
	header := fmt.Sprintf("%-36s", w.mode)
	for _, port := range w.ports {
		header += fmt.Sprintf("  %-6d %-9s", port, "")
	}
	show("%s", header)
	for i, title := range w.titles {
		line := fmt.Sprintf("  %-34s", title)
		for j := range w.ports {
			expected := "closed"
			if w.open[i][j] {
				expected = "open"
			}
			state := observed[i][j]
			if w.open[i][j] != (state == open) {
				state = "! " + state
			}
			line += fmt.Sprintf("  %-6s %-9s", expected, state)
		}
		show("%s", line)
	}
}

// needEnforcement fails a test that would else prove nothing; it goes on, to show what it sees.
func needEnforcement(t *testing.T) {
	t.Helper()
	if why := whyPoliciesDoNothing(t); why != "" {
		t.Errorf("no policy can be tested here: %s", why)
	}
}

func policyFile(name string) string {
	path, _ := filepath.Abs(filepath.Join("../../policies/network", name))
	return path
}

func TestPolicyLetsThroughWhomItNamesAndNobodyElse(t *testing.T) {
	timed(t)
	needEnforcement(t)
	home, other, listed := newNamespace(t), newNamespace(t), newNamespace(t)
	r := release{home, "helm"}
	label := map[string]string{clientLabel: "true"}
	w := table{
		ports:  []int{grpcPort, adminPort, pprofPort},
		server: func() string { return r.pods()[0].Status.PodIP },
		titles: []string{
			"allowed label", "no label", "allowed label, other namespace", "listed namespace",
		},
		clients: []pod{
			home.visitor("labelled", label),
			home.visitor("plain", map[string]string{"role": "metrics"}),
			other.visitor("labelled", label),
			listed.visitor("plain", nil),
		},
	}
	const (
		T = true
		F = false
	)
	everyone := [][]bool{{T, T, T}, {T, T, T}, {T, T, T}, {T, T, T}}
	labelled := [][]bool{{T, T, T}, {T, T, F}, {T, T, F}, {T, T, F}}
	noPolicy := "--set networkPolicy.enabled=false" +
		` --set-string extProc.pprof.acceptUnprotected="anyone in the cluster may profile"`
	one := " --set extProc.replicaCount=1 "

	r.install(one + noPolicy)
	w.mode, w.open = "without policy", everyone
	w.check(t)

	for _, mode := range []struct {
		name, values string
		open         [][]bool
	}{
		{"default", "", labelled},
		{"default, one namespace listed",
			"--set networkPolicy.peers.pprof[0].namespace=" + listed.name,
			[][]bool{{T, T, T}, {T, T, F}, {T, T, F}, {T, T, T}}},
		{"strict", "--set networkPolicy.mode=strict" +
			" --set networkPolicy.peers.grpc[0].namespace=" + listed.name +
			" --set networkPolicy.peers.admin[0].podLabels.role=metrics",
			[][]bool{{F, F, T}, {F, T, F}, {F, F, F}, {T, F, F}}},
		{"loopback", "--set extProc.pprof.expose=loopback",
			[][]bool{{T, T, F}, {T, T, F}, {T, T, F}, {T, T, F}}},
		{"without policy again", noPolicy, everyone},
	} {
		r.upgrade(one + mode.values)
		w.mode, w.open, w.shut = mode.name, mode.open, 0
		if mode.name == "loopback" {
			// What none of the clients reaches is there all the same.
			w.shut = pprofPort
			f := r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
			if status, body := f.get("/debug/pprof/"); status != 200 {
				t.Errorf("%s: port-forward: %d %s", mode.name, status, body)
			}
		}
		w.check(t)
	}

	home.must("kubectl apply -f "+policyFile("chart.yaml"), "")
	w.mode, w.open = "policies/network/chart.yaml", labelled
	w.check(t)
}

// The policy for the stock gateway selects pods of Envoy; here the processor stands in for such a
// pod, with a listener's port that the policy lists and one that it does not.
func TestStockGatewaysPolicyCutsWhatItDoesNotList(t *testing.T) {
	timed(t)
	needEnforcement(t)
	n := newNamespace(t)
	server := n.server("envoy", map[string]string{
		"app.kubernetes.io/managed-by": "envoy-gateway", "app.kubernetes.io/component": "proxy",
	}, ":10080,:10081")
	n.must("kubectl apply -f "+policyFile("stock-gateway.yaml"), "")
	w := table{
		mode:   "policies/network/stock-gateway.yaml",
		server: func() string { return server.address },
		ports:  []int{10080, 10081, adminPort, pprofPort},
		titles: []string{"allowed label", "no label"},
		clients: []pod{
			n.visitor("labelled", map[string]string{clientLabel: "true"}),
			n.visitor("plain", nil),
		},
		open: [][]bool{{true, false, true, true}, {true, false, true, false}},
		shut: 10081,
	}
	w.check(t)
	// 10081 is closed for both, and yet somebody listens there: the pod itself, which no policy keeps
	// from its own address, finds all listeners well.
	said, err := server.exec("extproc", "/extproc", "healthcheck", "--admin-address", server.address+":1064")
	if err != nil {
		t.Errorf("the processor does not serve: %s %v", said, err)
	}
}
