// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// engine is what runs the node: Docker or podman.
type engine struct {
	namespace
	program string
}

const (
	hardened = " --read-only --cap-drop=all --security-opt=no-new-privileges "
	filtered = " --security-opt=seccomp=../../policies/seccomp/extproc.json "
)

func (e engine) do(arguments string) string {
	e.t.Helper()
	return strings.TrimSpace(e.must(e.program+" "+arguments, ""))
}

// load brings an archive in, and what was not there before is gone after the test.
func (e engine) load(file, name string) {
	e.t.Helper()
	if _, err := e.attempt(e.program+" image inspect "+name, ""); err != nil {
		e.t.Cleanup(func() { e.do("rmi -f " + name) })
	}
	e.do("load -q -i " + filepath.Join(os.Getenv("KIND_BUILD"), "image", file))
	show("%s load: %s, %s bytes", e.program, name, e.do("image inspect --format {{.Size}} "+name))
}

// The image in a container engine by itself, with all that hardens a container, and without IPv6, as
// Docker's own network has it.
func TestEngineRunsTheImageWithoutACluster(t *testing.T) {
	timed(t)
	e := engine{namespace{t: t}, os.Getenv("KIND_EXPERIMENTAL_PROVIDER")}
	e.load("extproc.tar", image)
	e.load("extproc-debug.tar", twin)

	id := e.do("run -d" + hardened + filtered + "--sysctl net.ipv6.conf.all.disable_ipv6=1 " +
		"-e PPROF_ADDRESS=0.0.0.0:6060 -p 127.0.0.1::6060 " + image)
	t.Cleanup(func() { e.do("rm -f " + id) })
	address, _, _ := strings.Cut(e.do("port "+id+" 6060/tcp"), "\n")
	eventually(t, func() string {
		answer, err := http.Get("http://" + address + "/debug/pprof/heap")
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		return strings.TrimPrefix(answer.Status, "200 OK")
	})
	if said := e.do("exec " + id + " /extproc healthcheck"); !strings.Contains(said, "healthy: :1064") {
		t.Errorf("healthcheck: %s", said)
	}
	for _, shell := range []string{"sh", "/bin/sh", "/busybox/sh"} {
		if said, err := e.attempt(e.program+" exec "+id+" "+shell+" -c true", ""); err == nil {
			t.Errorf("%s runs in the product: %s", shell, said)
		}
	}
	if user := e.do("run --rm" + hardened + "--entrypoint sh " + twin + " -c 'id -u'"); user != "65532" {
		t.Errorf("the twin's shell runs as %q", user)
	}
}
