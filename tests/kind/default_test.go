// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// What the README shows first, in a namespace where Pod Security is restricted: install without
// values, look inside, and leave nothing behind.
func TestDefaultInstallCanBeProfiled(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	r := release{n, "helm"}
	before := n.objects()
	notes := r.install("")
	r.helmRun("test " + releaseName)

	// The documented command, as it stands there.
	needPort(t, pprofPort)
	f := n.startForward("kubectl port-forward deployment/envoy-ai-gateway-extproc 6060:6060")
	checkProfiles(t, f)
	if status, body := f.get("/debug/pprof/"); status != 200 || !strings.Contains(body, "heap") {
		t.Errorf("the page: %d %s", status, body)
	}

	// The commands of the chart's README and of its notes, word for word; in pprof a person types.
	expected := []string{"Type: cpu", "Type: inuse_space", "Type: goroutine"}
	commands := pprofCommands(t)
	if said := linesWith(notes, "go tool pprof "); !slices.Equal(said, commands) {
		t.Errorf("the notes have %q, the README %q", said, commands)
	}
	if len(commands) != len(expected) {
		t.Fatalf("the README has %d commands: %q", len(commands), commands)
	}
	for i, command := range commands {
		output := n.must(command, "top\nquit\n")
		if !strings.Contains(output, "File: extproc") || !strings.Contains(output, expected[i]) {
			t.Errorf("%s:\n%s", command, output)
		}
		show("%s: %s", command, expected[i])
	}

	// Who has only a shell: none in the product, but one in the debug twin.
	if _, err := n.attempt("kubectl exec deployment/"+deployment+" -- sh -c true", ""); err == nil {
		t.Error("the product has a shell")
	}
	said := r.inside("wget -q -O - http://127.0.0.1:6060/debug/pprof/; cat /proc/1/status")
	if !strings.Contains(said, "/debug/pprof/") {
		t.Errorf("kubectl debug: %s", said)
	}
	// The container's, and the program's own.
	if !strings.Contains(said, "Seccomp_filters:\t2\n") {
		t.Errorf("the program has not filtered its own system calls: %s", said)
	}

	r.helmRun("uninstall " + releaseName + " --wait --timeout 170s")
	n.expectOnly(before)
}

func pprofCommands(t *testing.T) []string {
	t.Helper()
	return linesWith(read(t, chartReadme), "go tool pprof ")
}

// expectOnly waits until nothing is there but the objects that were there before.
func (n namespace) expectOnly(before []string) {
	n.t.Helper()
	eventually(n.t, func() string {
		isOld := func(object string) bool { return slices.Contains(before, object) }
		return strings.Join(slices.DeleteFunc(n.objects(), isOld), " ")
	})
}

// The profiles and their statuses; a profile that does not exist yet is a row with 404.
func checkProfiles(t *testing.T, f *forward) {
	t.Helper()
	for _, row := range []struct {
		path   string
		status int
	}{
		{"profile?seconds=1", 200},
		{"heap", 200},
		{"allocs", 200},
		{"goroutine", 200},
		{"goroutine?debug=2", 200},
		{"threadcreate", 200},
		{"block", 200},
		{"mutex", 200},
		{"streams", 200},
		{"cmdline", 200},
		{"symbol", 200},
		{"nosuchprofile", 404},
	} {
		if status, body := f.get("/debug/pprof/" + row.path); status != row.status {
			t.Errorf("%s: %d, want %d: %.200s", row.path, status, row.status, body)
		}
	}
}

func linesWith(text, start string) (found []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, start) {
			found = append(found, line)
		}
	}
	return found
}

// objects are all of the namespace, as kind/name, but for events, which fade by themselves, and
// all of the cluster that carry the release's label.
func (n namespace) objects() (found []string) {
	n.t.Helper()
	reader, err := dynamic.NewForConfig(config)
	if err != nil {
		n.t.Fatal(err)
	}
	lists, err := client.Discovery().ServerPreferredResources()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, list := range lists {
		for _, kind := range list.APIResources {
			if !slices.Contains(kind.Verbs, "list") || kind.Kind == "Event" {
				continue
			}
			group, version, isNamed := strings.Cut(list.GroupVersion, "/")
			if !isNamed {
				group, version = "", group
			}
			resource := schema.GroupVersionResource{Group: group, Version: version, Resource: kind.Name}
			found = append(found, n.listed(reader, resource, kind.Namespaced)...)
		}
	}
	return found
}

func (n namespace) listed(reader dynamic.Interface, kind schema.GroupVersionResource,
	isNamespaced bool) (found []string) {
	n.t.Helper()
	resource := reader.Resource(kind)
	var from dynamic.ResourceInterface = resource
	options := meta.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + releaseName}
	if isNamespaced {
		from, options = resource.Namespace(n.name), meta.ListOptions{}
	}
	list, err := from.List(short(n.t), options)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, object := range list.Items {
		found = append(found, fmt.Sprintf("%s/%s", kind.Resource, object.GetName()))
	}
	return found
}
