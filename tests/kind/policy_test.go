// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
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

// expectations is tests/policies/reach.yaml: who reaches what. There an evaluator judges the same
// tables without a cluster.
type expectations struct {
	Clients []struct {
		Title, Namespace string
		Labels           map[string]string
	}
	Tables []expectation
}

type expectation struct {
	Mode   string
	Values map[string]any    // of the chart; absent: no chart
	Policy string            // in policies/network
	Pod    map[string]string // labels of the one that is reached, where there is no chart
	Ports  []int
	Shut   int // the port that no client reaches, or 0
	Reach  map[string][]string
}

func readExpectations(t *testing.T) *expectations {
	t.Helper()
	text, err := os.ReadFile("../policies/reach.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all expectations
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		t.Fatal(err)
	}
	return &all
}

// start starts the clients, each in its namespace.
func (e *expectations) start(namespaces map[string]namespace) []pod {
	var clients []pod
	for i, client := range e.Clients {
		name := fmt.Sprintf("client-%d", i)
		clients = append(clients, namespaces[client.Namespace].visitor(name, client.Labels))
	}
	return clients
}

func (e *expectations) table(from expectation, clients []pod, server func() string) *table {
	w := &table{mode: from.Mode, server: server, ports: from.Ports, shut: from.Shut, clients: clients}
	for _, client := range e.Clients {
		w.titles = append(w.titles, client.Title)
		var row []bool
		for i := range from.Ports {
			row = append(row, from.Reach[client.Title][i] == open)
		}
		w.open = append(w.open, row)
	}
	return w
}

func TestPolicyLetsThroughWhomItNamesAndNobodyElse(t *testing.T) {
	timed(t)
	needEnforcement(t)
	home, listed := newNamespace(t), newNamespace(t)
	r := release{home, "helm"}
	expected := readExpectations(t)
	other := newNamespace(t)
	clients := expected.start(map[string]namespace{"home": home, "other": other, "listed": listed})
	run := r.install
	for _, table := range expected.Tables {
		if table.Values == nil {
			continue
		}
		values, err := yaml.Marshal(table.Values)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(values), "namespace: listed\n", "namespace: "+listed.name+"\n")
		run("--set extProc.replicaCount=1 -f " + home.file("values.yaml", text))
		run = r.upgrade
		if table.Policy != "" {
			home.must("kubectl apply -f "+policyFile(table.Policy), "")
		}
		if table.Shut == pprofPort {
			// What none of the clients reaches is there all the same.
			f := r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
			if status, body := f.get("/debug/pprof/"); status != 200 {
				t.Errorf("%s: port-forward: %d %s", table.Mode, status, body)
			}
		}
		server := func() string { return r.pods()[0].Status.PodIP }
		expected.table(table, clients, server).check(t)
	}
}

// The policy for the stock gateway selects pods of Envoy; here the processor stands in for such a
// pod, with a listener's port that the policy lists and one that it does not.
func TestStockGatewaysPolicyCutsWhatItDoesNotList(t *testing.T) {
	timed(t)
	needEnforcement(t)
	home, other := newNamespace(t), newNamespace(t)
	expected := readExpectations(t)
	clients := expected.start(map[string]namespace{"home": home, "other": other, "listed": other})
	for _, table := range expected.Tables {
		if table.Pod == nil {
			continue
		}
		server := home.server("envoy", table.Pod, ":10080,:10081")
		home.must("kubectl apply -f "+policyFile(table.Policy), "")
		expected.table(table, clients, func() string { return server.address }).check(t)
		// 10081 is closed for all, and yet somebody listens there: the pod itself, which no policy
		// keeps from its own address, finds all listeners well.
		said, err := server.exec("extproc",
			"/extproc", "healthcheck", "--admin-address", server.address+":1064")
		if err != nil {
			t.Errorf("the processor does not serve: %s %v", said, err)
		}
	}
}
