// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// pod is a running one of the test's own.
type pod struct {
	namespace
	name, address string
}

func of[T any](value T) *T { return &value }

// container has everything that restricted Pod Security asks for.
func container(name, image string, command ...string) core.Container {
	return core.Container{
		Name: name, Image: image, Command: command, ImagePullPolicy: core.PullNever,
		SecurityContext: &core.SecurityContext{
			AllowPrivilegeEscalation: of(false),
			ReadOnlyRootFilesystem:   of(true),
			Capabilities:             &core.Capabilities{Drop: []core.Capability{"ALL"}},
		},
	}
}

// run starts a pod and waits until all its containers run.
func (n namespace) run(name string, labels map[string]string, containers ...core.Container) pod {
	n.t.Helper()
	_, err := client.CoreV1().Pods(n.name).Create(short(n.t), &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: labels},
		Spec: core.PodSpec{
			AutomountServiceAccountToken:  of(false),
			TerminationGracePeriodSeconds: of(int64(1)),
			SecurityContext: &core.PodSecurityContext{
				RunAsNonRoot:   of(true),
				RunAsUser:      of(int64(65532)),
				SeccompProfile: &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault},
			},
			Containers: containers,
		},
	}, meta.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	made := pod{namespace: n, name: name}
	eventually(n.t, func() string {
		found, err := client.CoreV1().Pods(n.name).Get(short(n.t), name, meta.GetOptions{})
		if err != nil {
			return err.Error()
		}
		made.address = found.Status.PodIP
		if !isReady(found) || made.address == "" {
			return fmt.Sprintf("pod %s is %s: %v", name, found.Status.Phase, found.Status.ContainerStatuses)
		}
		return ""
	})
	return made
}

func isReady(pod *core.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == core.PodReady {
			return condition.Status == core.ConditionTrue
		}
	}
	return false
}

// exec runs a command in a pod; a command that fails is an error that says what it printed.
func (p pod) exec(container string, command ...string) (string, error) {
	request := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.namespace.name).
		Name(p.name).SubResource("exec").
		VersionedParams(&core.PodExecOptions{
			Container: container, Command: command, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(config, "POST", request.URL())
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(short(p.t), remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		return "", fmt.Errorf("%w: %s%s", err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// A port as a client finds it. Where a policy blocks, some network plugins refuse and some drop.
const (
	open     = "open"
	refused  = "refused"
	timedOut = "timed out"
)

// visitor starts a pod that tries ports of others; its programs are those of the debug twin.
func (n namespace) visitor(name string, labels map[string]string) pod {
	n.t.Helper()
	return n.run(name, labels, container("visitor", twin, "sleep", "100000"))
}

// try connects to each port of the address and says how it found it.
func (p pod) try(address string, ports ...int) ([]string, error) {
	script := fmt.Sprintf("for port in %s; do nc -vvz -w 2 %s $port 2>&1; echo \"exit $?\"; done",
		strings.Trim(fmt.Sprint(ports), "[]"), address)
	output, err := p.exec("visitor", "sh", "-c", script)
	if err != nil {
		return nil, err
	}
	var found []string
	said := ""
	for line := range strings.Lines(output) {
		code, isCode := strings.CutPrefix(strings.TrimSpace(line), "exit ")
		if !isCode {
			said += line
			continue
		}
		found = append(found, portState(code, said))
		said = ""
	}
	if len(found) != len(ports) {
		return nil, fmt.Errorf("%d answers for %v: %s", len(found), ports, output)
	}
	return found, nil
}

// portState reads what nc said and how it ended; what is neither open nor a known way of closed is
// no answer, and no test may take it for one.
func portState(code, said string) string {
	switch {
	case code == "0":
		return open
	case code == "1" && strings.Contains(said, "refused"):
		return refused
	case code == "1" && strings.Contains(said, "timed out"):
		return timedOut
	}
	return fmt.Sprintf("nc ended with %s: %.60q", code, said)
}

func isClosed(state string) bool { return state == refused || state == timedOut }

// server starts the processor itself as a bare pod, on every address.
func (n namespace) server(name string, labels map[string]string, listen string) pod {
	n.t.Helper()
	program := container("extproc", image)
	program.Env = []core.EnvVar{
		{Name: "PPROF_ADDRESS", Value: ":6060"}, {Name: "EXTPROC_LISTEN", Value: listen},
	}
	made := n.run(name, labels, program)
	// Running is not listening.
	eventually(n.t, func() string {
		if _, err := made.exec("extproc", "/extproc", "healthcheck"); err != nil {
			return err.Error()
		}
		return ""
	})
	return made
}

func TestPortStateTellsClosedFromBroken(t *testing.T) {
	for _, row := range []struct{ code, said, want string }{
		{"0", "", open},
		{"1", "nc: 10.0.0.1 (10.0.0.1:6060): Connection refused", refused},
		{"1", "nc: timed out", timedOut},
		{"1", "nc: bad address 'x'", `nc ended with 1: "nc: bad address 'x'"`},
		{"139", "refused", `nc ended with 139: "refused"`},
	} {
		if got := portState(row.code, row.said); got != row.want {
			t.Errorf("%s %q: %s, want %s", row.code, row.said, got, row.want)
		}
	}
}
