// SPDX-License-Identifier: Apache-2.0

package policies

import (
	"context"
	"testing"
	"time"

	registration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/apiserver/pkg/util/feature"
	"k8s.io/apiserver/pkg/warning"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

// apiServer is the part of a real one that admits objects by ValidatingAdmissionPolicies: its
// plugin, with policies, bindings and namespaces from memory. It does not validate otherwise.
type apiServer struct {
	plugin *validating.Plugin
	mapper meta.RESTMapper
}

// The namespaces of every apiServer, and their labels.
var namespaces = map[string]map[string]string{
	"plain":          nil,
	"disabled":       {"envoy-ai-gateway-pprof": "disabled"},
	"processor-only": {"envoy-ai-gateway-port-forward": "processor-only"},
}

// The one user who may exec into pods, and all else.
const mayExec = "admin"

func authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == mayExec {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// Kinds that are not Kubernetes' own, as in a cluster with their definitions.
var custom = []schema.GroupVersionKind{
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "GRPCRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "TLSRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "TCPRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "UDPRoute"},
	{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Kind: "Backend"},
}

func newAPIServer(t *testing.T, policies ...*policy) *apiServer {
	t.Helper()
	var objects []runtime.Object
	for name, labels := range namespaces {
		objects = append(objects,
			&core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	}
	for _, p := range policies {
		objects = append(objects, p.policy, p.binding)
	}
	client := fake.NewClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range custom {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	plugin, err := validating.NewPlugin(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &apiServer{plugin, meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{
		mapper, testrestmapper.TestOnlyStaticRESTMapper(scheme.Scheme)}}}
	initializer.New(client, dynamicfake.NewSimpleDynamicClient(scheme.Scheme), factory,
		authorizer.AuthorizerFunc(authorize), feature.DefaultFeatureGate,
		compatibility.DefaultBuildEffectiveVersion(), t.Context().Done(), s.mapper,
	).Initialize(plugin)
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	// It compiles in the background, and waits for that itself, but not for long.
	for end := time.Now().Add(time.Minute); !plugin.WaitForReady(); {
		if time.Now().After(end) {
			t.Fatal("the plugin does not become ready")
		}
	}
	return s
}

// warnings is what a client would be shown.
type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

// write is a request that creates an object in a namespace, or updates old to it.
func (s *apiServer) write(t *testing.T, namespace string,
	object, old *unstructured.Unstructured) (warnings, error) {
	t.Helper()
	kind := object.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		t.Fatal(err)
	}
	operation, before := admission.Create, runtime.Object(nil)
	if old != nil {
		operation, before = admission.Update, old
	}
	var shown warnings
	err = s.plugin.Validate(warning.WithWarningRecorder(context.Background(), &shown),
		admission.NewAttributesRecord(object, before, kind, namespace, object.GetName(),
			mapping.Resource, "", operation, nil, false, &user.DefaultInfo{Name: "somebody"}),
		admission.NewObjectInterfacesFromScheme(scheme.Scheme))
	return shown, err
}

// policy is one of policies/admission, with its binding and its samples.
type policy struct {
	name      string
	policy    *registration.ValidatingAdmissionPolicy
	binding   *registration.ValidatingAdmissionPolicyBinding
	good, bad []*unstructured.Unstructured
}

// with returns a copy that does with what it finds as action says.
func (p *policy) with(action registration.ValidationAction) *policy {
	changed := *p
	changed.binding = p.binding.DeepCopy()
	changed.binding.Spec.ValidationActions = []registration.ValidationAction{action}
	return &changed
}

// fillIn does what a real API server does to what it is given, and what the plugin relies on.
func (p *policy) fillIn() {
	matches := []*registration.MatchResources{p.policy.Spec.MatchConstraints}
	if p.binding.Spec.MatchResources != nil {
		matches = append(matches, p.binding.Spec.MatchResources)
	}
	for _, match := range matches {
		equivalent := registration.Equivalent
		match.MatchPolicy = &equivalent
		match.ObjectSelector = &metav1.LabelSelector{}
		if match.NamespaceSelector == nil {
			match.NamespaceSelector = &metav1.LabelSelector{}
		}
	}
}

// only returns a copy that has one of the validations.
func (p *policy) only(i int) *policy {
	changed := *p
	changed.policy = p.policy.DeepCopy()
	changed.policy.Spec.Validations = p.policy.Spec.Validations[i : i+1]
	return &changed
}

// namespace is the one where the policy has something to say.
func (p *policy) namespace() string {
	if p.name == "require-disable-pprof" {
		return "disabled"
	}
	return "plain"
}
