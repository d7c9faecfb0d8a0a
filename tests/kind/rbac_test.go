// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"os"
	"slices"
	"strings"
	"testing"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// policies/rbac: who has the role can port-forward to the pods of its namespace, and nothing else.
// Each command that is refused works for who may.
func TestProfilerCanPortForwardAndNothingElse(t *testing.T) {
	timed(t)
	home, other := newNamespace(t), newNamespace(t)
	r := release{home, "helm"}
	r.install("--set extProc.replicaCount=1")
	home.server("another", nil, ":1063")
	other.server("elsewhere", nil, ":1063")
	home.must("kubectl apply -f "+rbacFile("profiler.yaml"), "")
	home.must("kubectl create rolebinding engineer --role=envoy-ai-gateway-profiler "+
		"--serviceaccount="+home.name+":engineer", "")
	engineer, nobody := home.account("engineer"), home.account("nobody")

	// What it may, beyond what everyone may.
	rights, everyones := home.rights(engineer), home.rights(nobody)
	isEveryones := func(line string) bool { return slices.Contains(everyones, line) }
	rights = slices.Sorted(slices.Values(slices.DeleteFunc(rights, isEveryones)))
	expected := []string{
		"deployments.apps [] [envoy-ai-gateway-extproc] [get]",
		"pods [] [] [get list]",
		"pods/portforward [] [] [create]",
	}
	if !slices.Equal(rights, expected) {
		t.Errorf("it may\n%s\nexpected\n%s", strings.Join(rights, "\n"), strings.Join(expected, "\n"))
	}

	// The binding as it is shipped.
	for action, expected := range map[string]string{"portforward": "yes", "exec": "no"} {
		said, _ := home.attempt("kubectl auth can-i create pods --subresource="+action+
			" --as=somebody --as-group=envoy-ai-gateway-profilers", "")
		if strings.TrimSpace(said) != expected {
			t.Errorf("the group may create pods/%s: %s", action, said)
		}
	}

	show("policies/rbac/profiler.yaml")
	name := r.pods()[0].Name
	for _, pod := range []string{"deployment/" + deployment, "pod/" + name, "pod/another"} {
		home.checkForward(pod, engineer)
	}
	fill := strings.NewReplacer("POD", name, "NAMESPACE", home.name, "OTHER", other.name)
	for _, command := range []string{
		"kubectl exec POD -- /extproc healthcheck",
		"kubectl logs POD",
		"kubectl get secrets",
		"kubectl get services",
		"kubectl get deployments",
		"kubectl delete pod POD --dry-run=server",
		"kubectl label pod POD envoy-ai-gateway-pprof-client=true --dry-run=server",
		"kubectl get --raw /api/v1/namespaces/NAMESPACE/pods/POD:1064/proxy/health",
		"kubectl get nodes",
		"kubectl get pods --namespace=OTHER",
		"kubectl get pod elsewhere --namespace=OTHER",
	} {
		line := fill.Replace(command)
		home.mustBeForbidden(as(engineer, line))
		show("  %-86s refused", command)
		home.must(line, "")
	}
	// The name of a pod elsewhere is no secret; kubectl would look it up first.
	config := clientOf(t, engineer)
	err := config.CoreV1().RESTClient().Post().Resource("pods").Namespace(other.name).
		Name("elsewhere").SubResource("portforward").Do(short(t)).Error()
	if !errors.IsForbidden(err) {
		t.Errorf("port-forward in another namespace: %v", err)
	}
	checkProcessorOnly(t, r, engineer)
}

// policies/rbac/processor-only.yaml: of the pods in the namespace, the processor's alone.
func checkProcessorOnly(t *testing.T, r release, engineer string) {
	t.Helper()
	for _, object := range readObjects(t, rbacFile("processor-only.yaml")) {
		newWriter(r.namespace).create(object)
	}
	r.label("envoy-ai-gateway-port-forward=processor-only")
	forward := "timeout 5 kubectl port-forward pod/another :6060"
	eventually(t, func() string {
		said, _ := r.attempt(as(engineer, forward), "")
		if !strings.Contains(said, "you may port-forward to pods envoy-ai-gateway-extproc-") {
			return "port-forward to another pod says " + said
		}
		return ""
	})
	show("policies/rbac/processor-only.yaml")
	show("  %-86s refused", "kubectl port-forward pod/another")
	r.checkForward("pod/"+r.pods()[0].Name, engineer)
	// Who may exec is let through.
	r.checkForward("pod/another", os.Getenv("KUBECONFIG"))
}

func rbacFile(name string) string { return absolute("../../policies/rbac/" + name) }

// account makes a ServiceAccount and returns a kubeconfig with its token.
func (n namespace) account(name string) string {
	n.t.Helper()
	accounts := client.CoreV1().ServiceAccounts(n.name)
	_, err := accounts.Create(short(n.t),
		&core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: name}}, meta.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	token, err := accounts.CreateToken(short(n.t), name,
		&authentication.TokenRequest{}, meta.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	path := n.kubeconfig()
	loaded, err := clientcmd.LoadFromFile(path)
	if err != nil {
		n.t.Fatal(err)
	}
	user := loaded.Contexts[loaded.CurrentContext].AuthInfo
	loaded.AuthInfos[user] = &api.AuthInfo{Token: token.Status.Token}
	if err := clientcmd.WriteToFile(*loaded, path); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// as is a command line of kubectl, by the user of another kubeconfig.
func as(kubeconfig, line string) string {
	return strings.Replace(line, "kubectl ", "kubectl --kubeconfig="+kubeconfig+" ", 1)
}

func clientOf(t *testing.T, kubeconfig string) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// rights are the lines of `kubectl auth can-i --list`, with single spaces.
func (n namespace) rights(kubeconfig string) []string {
	n.t.Helper()
	var all []string
	listed := n.must(as(kubeconfig, "kubectl auth can-i --list --no-headers"), "")
	for line := range strings.Lines(listed) {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}

func (n namespace) checkForward(pod, kubeconfig string) {
	n.t.Helper()
	f := n.startForward(as(kubeconfig, "kubectl port-forward "+pod+" :6060 --namespace="+n.name))
	status, body := f.get("/debug/pprof/")
	if status != 200 {
		n.t.Errorf("port-forward %s: %d %s", pod, status, body)
	}
	who := ""
	if kubeconfig == os.Getenv("KUBECONFIG") {
		who = ", for who may exec"
	}
	show("  %-86s works%s", "kubectl port-forward "+pod, who)
}

func (n namespace) mustBeForbidden(line string) {
	n.t.Helper()
	said, err := n.attempt(line, "")
	if err == nil || !strings.Contains(strings.ToLower(said), "forbidden") {
		n.t.Errorf("%s: %v, it says %s", line, err, said)
	}
}
