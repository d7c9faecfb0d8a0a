// SPDX-License-Identifier: Apache-2.0

// Package kind answers: does the product do in a real cluster what its chart, its policies and its
// README promise? The cluster is tests/kind/cluster's; `make test-kind` makes it, loads the images
// and says in the environment where everything is.
package kind

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// The names that the README uses.
	releaseName = "envoy-ai-gateway"
	deployment  = "envoy-ai-gateway-extproc"
	clientLabel = "envoy-ai-gateway-pprof-client"

	grpcPort, adminPort, pprofPort = 1063, 1064, 6060
	peersImage                     = "localhost/tests/peers:local"
)

// deadline bounds every wait for something that ought to happen soon. It is no measure of speed: a
// machine may be slow.
const deadline = 3 * time.Minute

var (
	config *rest.Config
	client kubernetes.Interface
	image  = os.Getenv("KIND_IMAGE")
	twin   = image + "-debug"
	chart  = os.Getenv("KIND_CHART")
	report *os.File
)

func TestMain(m *testing.M) {
	if err := connect(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\nThese tests need a cluster. Run them by `make test-kind`.\n", err)
		os.Exit(1)
	}
	started := time.Now()
	code := m.Run()
	if left := waitForNamespaces(); left != "" {
		show("FAIL: left in the cluster: %s", left)
		code = 1
	}
	show("the tests took %.0f s", time.Since(started).Seconds())
	os.Exit(code)
}

func connect() (err error) {
	if image == "" || chart == "" {
		return fmt.Errorf("KIND_IMAGE and KIND_CHART are not set")
	}
	report, err = os.OpenFile(os.Getenv("KIND_REPORT"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("KIND_REPORT: %w", err)
	}
	config, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return fmt.Errorf("KUBECONFIG: %w", err)
	}
	config.QPS, config.Burst, config.WarningHandler = 100, 200, rest.NoWarnings{}
	client, err = kubernetes.NewForConfig(config)
	return err
}

// show prints a line for whoever runs the tests, also when all is well.
func show(format string, arguments ...any) {
	fmt.Fprintf(report, "  "+format+"\n", arguments...)
}

// timed shows how long a test took.
func timed(t *testing.T) {
	started := time.Now()
	t.Cleanup(func() {
		outcome := "ok  "
		if t.Failed() {
			outcome = "FAIL"
		}
		show("%s %s, %.1f s", outcome, t.Name(), time.Since(started).Seconds())
	})
}

func short(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until check says "", and fails with what it said last when the time is over.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	if missing := within(deadline, check); missing != "" {
		t.Fatalf("not within %v: %s", deadline, missing)
	}
}

func within(limit time.Duration, check func() string) string {
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		missing := check()
		if missing == "" || time.Now().After(end) {
			return missing
		}
	}
}

// namespace is one of the test's own, in which Pod Security is restricted.
type namespace struct {
	t      testing.TB
	name   string
	folder string // where its commands run; "" is here
}

const ownLabel = "extproc-tests"

func newNamespace(t testing.TB) namespace {
	t.Helper()
	made, err := client.CoreV1().Namespaces().Create(short(t), &core.Namespace{
		ObjectMeta: meta.ObjectMeta{
			GenerateName: "extproc-",
			Labels: map[string]string{
				ownLabel: "", "pod-security.kubernetes.io/enforce": "restricted",
			},
		},
	}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			namespace{t: t, name: made.Name}.describe()
		}
		client.CoreV1().Namespaces().Delete(context.Background(), made.Name, meta.DeleteOptions{})
	})
	n := namespace{t: t, name: made.Name}
	// What Kubernetes itself puts into each namespace comes a moment later.
	eventually(t, func() string {
		_, noAccount := client.CoreV1().ServiceAccounts(n.name).Get(short(t), "default", meta.GetOptions{})
		_, noRoot := client.CoreV1().ConfigMaps(n.name).Get(short(t), "kube-root-ca.crt", meta.GetOptions{})
		if noAccount != nil || noRoot != nil {
			return fmt.Sprint("the namespace is not complete: ", noAccount, noRoot)
		}
		return ""
	})
	return n
}

// describe logs what somebody would look at first after a failure.
func (n namespace) describe() {
	ctx := context.Background()
	pods, err := client.CoreV1().Pods(n.name).List(ctx, meta.ListOptions{})
	if err != nil {
		return
	}
	for _, pod := range pods.Items {
		n.t.Logf("pod %s/%s: %s, address %s, labels %v",
			n.name, pod.Name, pod.Status.Phase, pod.Status.PodIP, pod.Labels)
		for _, container := range pod.Spec.Containers {
			lines := int64(15)
			text, _ := client.CoreV1().Pods(n.name).GetLogs(pod.Name,
				&core.PodLogOptions{Container: container.Name, TailLines: &lines}).DoRaw(ctx)
			n.t.Logf("end of the log of %s:\n%s", container.Name, text)
		}
	}
	events, err := client.CoreV1().Events(n.name).List(ctx, meta.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return
	}
	for _, event := range events.Items {
		n.t.Logf("event: %s %s: %s", event.InvolvedObject.Name, event.Reason, event.Message)
	}
}

// waitForNamespaces waits until those of the tests are gone and returns what is not.
func waitForNamespaces() string {
	return within(deadline, func() string {
		list, err := client.CoreV1().Namespaces().List(context.Background(),
			meta.ListOptions{LabelSelector: ownLabel})
		if err != nil {
			return err.Error()
		}
		var names []string
		for _, namespace := range list.Items {
			names = append(names, namespace.Name)
		}
		return strings.Join(names, " ")
	})
}

func TestNamespacesOfTheTestsAreRestricted(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	_, err := client.CoreV1().Pods(n.name).Create(short(t), &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: "lax"},
		Spec:       core.PodSpec{Containers: []core.Container{{Name: "lax", Image: twin}}},
	}, meta.CreateOptions{})
	if !errors.IsForbidden(err) {
		t.Fatalf("a pod without a security context: %v, want it forbidden", err)
	}
}
