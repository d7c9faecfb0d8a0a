// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// What the policies depend on, kinds that Kubernetes does not have: here without a schema.
// tests/policies holds the samples to the real ones.
var customKinds = []schema.GroupVersionKind{
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "GRPCRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "TCPRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "TLSRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "UDPRoute"},
	{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Kind: "Backend"},
}

// The samples of policies/admission as the whole API server sees them: as shipped it warns, and
// told to it denies. Bindings reach only the test's own namespace.
func TestAdmissionPoliciesWarnAsShippedAndRefuseWhenTold(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	// Else Pod Security would be quicker to refuse.
	n.label("pod-security.kubernetes.io/enforce=privileged", "envoy-ai-gateway-pprof=disabled")
	w := newWriter(n)
	w.define(customKinds)
	files, _ := filepath.Glob("../../policies/admission/*/policy.yaml")
	if len(files) == 0 {
		t.Fatal("there are no policies")
	}
	show("%-36s  good: passed  bad: warned  bad: denied", "policies/admission")
	for _, file := range files {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			w := newWriter(namespace{t: t, name: n.name})
			policy, binding := w.applyPolicy(file)
			good, bad := readObjects(t, folder+"/good.yaml"), readObjects(t, folder+"/bad.yaml")
			// It takes effect a moment after it is made.
			eventually(t, func() string {
				shown, err := w.dryRun(bad[0])
				if err != nil || len(shown) == 0 {
					return "the policy does nothing yet"
				}
				return ""
			})
			passed, warned, denied := 0, 0, 0
			for _, object := range bad {
				shown, err := w.dryRun(object)
				if err != nil || !strings.Contains(strings.Join(shown, ""), "'"+policy.GetName()+"'") {
					t.Errorf("bad sample %s: %v %q", object.GetName(), err, shown)
					continue
				}
				warned++
			}
			// What a person is shown.
			said, err := w.attempt("kubectl create --dry-run=server -f "+absolute(folder+"/bad.yaml"), "")
			warning := "Warning: Validation failed for ValidatingAdmissionPolicy '" + policy.GetName() + "'"
			if err != nil || !strings.Contains(said, warning) {
				t.Errorf("kubectl create: %v %s", err, said)
			}
			w.deny(binding)
			eventually(t, func() string {
				if _, err := w.dryRun(bad[0]); err == nil {
					return "the binding does not deny yet"
				}
				return ""
			})
			for _, object := range bad {
				_, err := w.dryRun(object)
				if err == nil || !strings.Contains(err.Error(), "'"+policy.GetName()+"'") ||
					!strings.Contains(err.Error(), "Fix: ") {
					t.Errorf("bad sample %s: %v", object.GetName(), err)
					continue
				}
				denied++
			}
			for _, object := range good {
				if shown, err := w.dryRun(object); err != nil || len(shown) != 0 {
					t.Errorf("good sample %s: %v %q", object.GetName(), err, shown)
					continue
				}
				passed++
			}
			w.hasNoTypeErrors(policy)
			show("  %-34s  %d of %-8d  %d of %-7d  %d of %d", filepath.Base(folder),
				passed, len(good), warned, len(bad), denied, len(bad))
		})
	}
}

func absolute(path string) string {
	path, _ = filepath.Abs(path)
	return path
}

// writer writes any object to a namespace, and keeps what the API server warns of.
type writer struct {
	namespace
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
	mutex  sync.Mutex
	shown  []string
}

func newWriter(n namespace) *writer {
	n.t.Helper()
	w := &writer{namespace: n}
	own := rest.CopyConfig(config)
	own.WarningHandler = w
	var err error
	if w.client, err = dynamic.NewForConfig(own); err != nil {
		n.t.Fatal(err)
	}
	w.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	return w
}

func (w *writer) HandleWarningHeader(_ int, _, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.shown = append(w.shown, text)
}

func (w *writer) resource(object *unstructured.Unstructured) dynamic.ResourceInterface {
	w.t.Helper()
	kind := object.GroupVersionKind()
	mapping, err := w.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	if mapping.Scope.Name() == "root" {
		return w.client.Resource(mapping.Resource)
	}
	return w.client.Resource(mapping.Resource).Namespace(w.name)
}

// create makes an object that is gone after the test. A run that was ended in the middle may have
// left one.
func (w *writer) create(object *unstructured.Unstructured) (made *unstructured.Unstructured) {
	w.t.Helper()
	remove := func() {
		w.resource(object).Delete(context.Background(), object.GetName(), meta.DeleteOptions{})
	}
	w.t.Cleanup(remove)
	eventually(w.t, func() string {
		var err error
		made, err = w.resource(object).Create(short(w.t), object, meta.CreateOptions{})
		if err == nil {
			return ""
		}
		if errors.IsAlreadyExists(err) {
			remove()
		}
		return err.Error()
	})
	return made
}

// dryRun asks for an object as `kubectl create --dry-run=server` does, and returns the warnings.
func (w *writer) dryRun(object *unstructured.Unstructured) ([]string, error) {
	w.t.Helper()
	w.mutex.Lock()
	w.shown = nil
	w.mutex.Unlock()
	_, err := w.resource(object).Create(short(w.t), object,
		meta.CreateOptions{DryRun: []string{meta.DryRunAll}})
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.shown), err
}

// applyPolicy makes a policy and its binding, which is narrowed to the namespace.
func (w *writer) applyPolicy(file string) (policy, binding *unstructured.Unstructured) {
	w.t.Helper()
	objects := readObjects(w.t, file)
	policy, binding = w.create(objects[0]), objects[1]
	here := []any{map[string]any{
		"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{w.name}}}
	err := unstructured.SetNestedSlice(binding.Object, here,
		"spec", "matchResources", "namespaceSelector", "matchExpressions")
	if err != nil {
		w.t.Fatal(err)
	}
	return policy, w.create(binding)
}

// deny is what policies/README.md says to do with kubectl.
func (w *writer) deny(binding *unstructured.Unstructured) {
	w.t.Helper()
	w.must("kubectl patch validatingadmissionpolicybinding "+binding.GetName()+
		` --type=merge -p '{"spec":{"validationActions":["Deny"]}}'`, "")
}

// hasNoTypeErrors waits until the API server has looked at the policy's expressions by the types of
// what it matches.
func (w *writer) hasNoTypeErrors(policy *unstructured.Unstructured) {
	w.t.Helper()
	var found *unstructured.Unstructured
	eventually(w.t, func() string {
		var err error
		found, err = w.resource(policy).Get(short(w.t), policy.GetName(), meta.GetOptions{})
		if err != nil {
			return err.Error()
		}
		if _, isThere, _ := unstructured.NestedMap(found.Object, "status", "typeChecking"); !isThere {
			return "the policy's types are not checked yet"
		}
		return ""
	})
	warnings, _, _ := unstructured.NestedSlice(found.Object,
		"status", "typeChecking", "expressionWarnings")
	for _, wrong := range warnings {
		w.t.Errorf("%s: %v", policy.GetName(), wrong)
	}
}

// define makes custom kinds.
func (w *writer) define(kinds []schema.GroupVersionKind) {
	w.t.Helper()
	for _, kind := range kinds {
		plural := strings.ToLower(kind.Kind) + "s"
		anything := map[string]any{
			"type": "object", "x-kubernetes-preserve-unknown-fields": true,
		}
		w.create(&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{
				"name":        plural + "." + kind.Group,
				"annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, for a test"},
			},
			"spec": map[string]any{
				"group": kind.Group, "scope": "Namespaced",
				"names": map[string]any{
					"kind": kind.Kind, "plural": plural, "singular": strings.ToLower(kind.Kind),
				},
				"versions": []any{map[string]any{
					"name": kind.Version, "served": true, "storage": true,
					"schema": map[string]any{"openAPIV3Schema": anything},
				}},
			},
		}})
	}
	eventually(w.t, func() string {
		w.mapper.Reset()
		for _, kind := range kinds {
			if _, err := w.mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
				return err.Error()
			}
		}
		return ""
	})
}

// label sets labels of the namespace.
func (n namespace) label(labels ...string) {
	n.t.Helper()
	n.must("kubectl label --overwrite namespace "+n.name+" "+strings.Join(labels, " "), "")
}

func readObjects(t testing.TB, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, object)
	}
	return all
}
