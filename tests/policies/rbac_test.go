// SPDX-License-Identifier: Apache-2.0

package policies

import (
	"context"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes/scheme"
)

// connect is a port-forward to a pod, by a user.
func (s *apiServer) connect(namespace, pod, name string) error {
	return s.plugin.Validate(context.Background(),
		admission.NewAttributesRecord(&core.PodPortForwardOptions{}, nil,
			core.SchemeGroupVersion.WithKind("PodPortForwardOptions"), namespace, pod,
			core.SchemeGroupVersion.WithResource("pods"), "portforward", admission.Connect,
			nil, false, &user.DefaultInfo{Name: name}),
		admission.NewObjectInterfacesFromScheme(scheme.Scheme))
}

func TestPortForwardReachesTheProcessorOnly(t *testing.T) {
	server := newAPIServer(t, readPolicy(t, folder+"/rbac/processor-only.yaml"))
	const processor = "envoy-ai-gateway-extproc-5d8f9c7b6-x2x4z"
	for _, row := range []struct {
		namespace, pod, user string
		refused              bool
	}{
		{"processor-only", processor, "profiler", false},
		{"processor-only", "another", "profiler", true},
		{"processor-only", "envoy-ai-gateway-extproc", "profiler", true},
		{"processor-only", "another", mayExec, false},
		{"plain", "another", "profiler", false},
	} {
		err := server.connect(row.namespace, row.pod, row.user)
		refused := err != nil && strings.Contains(err.Error(), "envoy-ai-gateway-extproc-…")
		if refused != row.refused || (err != nil && !refused) {
			t.Errorf("%v: %v", row, err)
		}
	}
}
