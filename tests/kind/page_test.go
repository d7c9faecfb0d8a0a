// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Who is called at 3 am has a browser and the port forwarded: tests/page goes through the page in a
// real Chromium, which leaves pictures in the build folder.
func TestPageInABrowserByPortForward(t *testing.T) {
	timed(t)
	for _, program := range []string{"chromium", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			show("the page is not looked at: there is no %s", program)
			t.Skip(err)
		}
	}
	n := newNamespace(t)
	r := release{n, "helm"}
	r.install("--set extProc.replicaCount=1")
	loads := n.putUnderLoad(r.pods()[0].Status.PodIP)

	f := n.startForward("kubectl port-forward deployment/" + deployment + " :6060")
	pictures := filepath.Join(os.Getenv("KIND_FOLDER"), "page")
	output, err := exec.Command("../page/browse.sh", f.url+"/debug/pprof/", pictures).CombinedOutput()
	passed := regexp.MustCompile(`(?m)^ok `).FindAll(output, -1)
	if err != nil || len(passed) == 0 {
		t.Errorf("%v: %s", err, output)
	}
	show("the page in Chromium: %d tests passed, pictures in %s", len(passed), pictures)
	for _, name := range []string{loads.name, r.pods()[0].Name} {
		if again := n.restarts(name); again != 0 {
			t.Errorf("a container of %s was started again %d times", name, again)
		}
	}
}

// putUnderLoad sends small requests, which carry labels, and large ones, which make a function hot,
// until the test ends. It takes part of a processor only: the browser wants some, too.
func (n namespace) putUnderLoad(address string) pod {
	n.t.Helper()
	var loads []core.Container
	for _, kind := range []string{"1k", "1m"} {
		load := container("load-"+kind, peersImage, "/load", "--address", fmt.Sprintf("%s:%d", address, grpcPort),
			"--kind", kind, "--streams", "2", "--duration", "30m")
		load.Resources.Limits = core.ResourceList{core.ResourceCPU: resource.MustParse("100m")}
		loads = append(loads, load)
	}
	return n.run("loads", nil, loads...)
}

// restarts of all containers of a pod.
func (n namespace) restarts(pod string) (count int32) {
	n.t.Helper()
	found, err := client.CoreV1().Pods(n.name).Get(short(n.t), pod, meta.GetOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, status := range found.Status.ContainerStatuses {
		count += status.RestartCount
	}
	return count
}
