// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// shell is a command line as a person would type it, with this namespace as the context's; kubectl,
// helm and go are those that PATH leads to.
func (n namespace) shell(line string) *exec.Cmd {
	n.t.Helper()
	command := exec.Command("sh", "-c", "exec "+line)
	command.Dir = n.folder
	command.Env = append(os.Environ(), "KUBECONFIG="+n.kubeconfig(), "PPROF_TMPDIR="+n.t.TempDir())
	command.WaitDelay = 10 * time.Second
	return command
}

// kubeconfig writes one whose context has this namespace.
func (n namespace) kubeconfig() string {
	n.t.Helper()
	loaded, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	if err != nil {
		n.t.Fatal(err)
	}
	loaded.Contexts[loaded.CurrentContext].Namespace = n.name
	path := filepath.Join(n.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*loaded, path); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// must runs a command line to its end and returns what it printed; input is what a person types.
func (n namespace) must(line, input string) string {
	n.t.Helper()
	output, err := n.attempt(line, input)
	if err != nil {
		n.t.Fatalf("%s: %v\n%s", line, err, output)
	}
	return output
}

func (n namespace) attempt(line, input string) (string, error) {
	n.t.Helper()
	command := n.shell(line)
	// Open to the end, as a terminal is: where input ends, kubectl hears no more output either.
	typed, terminal, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer typed.Close()
	defer terminal.Close()
	io.WriteString(terminal, input)
	command.Stdin = typed
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		return "", err
	}
	stop := time.AfterFunc(deadline, func() { command.Process.Kill() })
	defer stop.Stop()
	err = command.Wait()
	return output.String(), err
}

// forward is a `kubectl port-forward` that goes on.
type forward struct {
	t       testing.TB
	command *exec.Cmd
	output  *lockedBuffer
	url     string
}

type lockedBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.String()
}

var forwarding = regexp.MustCompile(`Forwarding from 127\.0\.0\.1:(\d+)`)

// startForward runs the command line and waits until it forwards.
func (n namespace) startForward(line string) *forward {
	n.t.Helper()
	f := &forward{t: n.t, command: n.shell(line), output: &lockedBuffer{}}
	f.command.Stdout, f.command.Stderr = f.output, f.output
	if err := f.command.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		f.command.Wait()
		close(ended)
	}()
	n.t.Cleanup(func() {
		f.command.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	eventually(n.t, func() string {
		select {
		case <-ended:
			n.t.Fatalf("%s ended: %s", line, f.output)
		default:
		}
		port := forwarding.FindStringSubmatch(f.output.String())
		if port == nil {
			return line + " does not forward: " + f.output.String()
		}
		f.url = "http://localhost:" + port[1]
		return ""
	})
	return f
}

// get returns status and body; status 0 is no answer.
func (f *forward) get(path string) (int, string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", f.url+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// needPort waits until this machine's port is free: a documented command wants this one.
func needPort(t testing.TB, port int) {
	t.Helper()
	eventually(t, func() string {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return "the documented command needs this machine's own port: " + err.Error()
		}
		listener.Close()
		return ""
	})
}

// release is the chart, installed.
type release struct {
	namespace
	helm string
}

// helmRun runs `helm VERB envoy-ai-gateway ...` in the namespace.
func (r release) helmRun(arguments string) string {
	r.t.Helper()
	return r.must(r.helm+" "+arguments, "")
}

const wait = " --wait --timeout 170s"

func (r release) install(arguments string) string {
	r.t.Helper()
	return r.helmRun("install " + releaseName + " " + chart + wait + " " + arguments)
}

func (r release) upgrade(arguments string) string {
	r.t.Helper()
	return r.helmRun("upgrade " + releaseName + " " + chart + wait + " --reset-values " + arguments)
}

// pods are the release's that serve: ready, and not about to end.
func (r release) pods() []core.Pod {
	r.t.Helper()
	var serving []core.Pod
	for _, found := range r.allPods() {
		if found.DeletionTimestamp == nil && isReady(&found) {
			serving = append(serving, found)
		}
	}
	if len(serving) == 0 {
		r.t.Fatal("no pod of the release serves")
	}
	return serving
}

// allPods are also those that do not serve, or not any more.
func (r release) allPods() []core.Pod {
	r.t.Helper()
	list, err := client.CoreV1().Pods(r.name).List(short(r.t), meta.ListOptions{
		LabelSelector: "app.kubernetes.io/instance=" + releaseName + ",app.kubernetes.io/component=extproc"})
	if err != nil {
		r.t.Fatal(err)
	}
	return list.Items
}

// As the chart's README has it.
const debugCommand = "kubectl debug POD --image=IMAGE-debug --target=extproc --profile=restricted -it -- sh"

// inside runs a shell script in the network of one of the release's pods: an ephemeral container of
// the debug twin, with the restricted profile. It waits for a line of input, for kubectl to be there,
// and does without a terminal.
func (r release) inside(script string) string {
	r.t.Helper()
	return r.insideOf(r.pods()[0].Name, script)
}

func (r release) insideOf(pod, script string) string {
	r.t.Helper()
	command := strings.NewReplacer("POD", pod, "IMAGE-debug", twin, "-it", "-i").Replace(debugCommand)
	return r.must(command+" -c 'read start; "+script+"'", "start\n")
}

func (n namespace) file(name, content string) string {
	n.t.Helper()
	path := filepath.Join(n.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}
