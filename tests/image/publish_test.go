// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"extproc/tests/image/scan"
	"extproc/tests/internal/rig"
)

// registry is one on loopback, with TLS as Helm 4 and crane expect it; Helm 3 speaks plain HTTP with
// loopback, whatever is there.
type registry struct {
	host, plainHost, certificate string
}

var serving = regexp.MustCompile(`serving on port (\d+)`)

func startRegistry(t *testing.T, crane string) registry {
	t.Helper()
	command := exec.Command(crane, "registry", "serve", "--address", "127.0.0.1:0")
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	lines := bufio.NewReader(output)
	line, err := lines.ReadString('\n')
	port := serving.FindStringSubmatch(line)
	if err != nil || port == nil {
		t.Fatalf("the registry says %q (%v)", line, err)
	}
	go io.Copy(io.Discard, lines)
	front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(
		&url.URL{Scheme: "http", Host: "127.0.0.1:" + port[1]}))
	t.Cleanup(front.Close)
	certificate := filepath.Join(t.TempDir(), "certificate.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(certificate, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return registry{front.Listener.Addr().String(), "127.0.0.1:" + port[1], certificate}
}

// chartTool returns the path of a tool of the chart's tests.
func chartTool(t *testing.T, name string) string {
	t.Helper()
	command := exec.Command(filepath.Join(rig.Root(), "tests/chart/tools.sh"), name)
	command.Stderr = os.Stderr
	path, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(path))
}

// publishing returns the commands of docs/publishing.md, by the section that they stand in.
func publishing(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root(), "docs/publishing.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)\n```").FindAllStringSubmatch(body, -1) {
			commands[title] = append(commands[title], strings.Split(block[1], "\n")...)
		}
	}
	return commands
}

// inArchive returns the digest of what an archive holds.
func inArchive(t *testing.T, path string) string {
	t.Helper()
	archive, err := scan.OpenArchive(path)
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(archive["index.json"].Data, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("index.json has %v (%v)", index, err)
	}
	return index.Manifests[0].Digest
}

// The commands of docs/publishing.md, word for word but for: `make image relink-kit` (they were made before), and
// the cluster that `helm install` would ask.
func TestPublishingWorksAsItIsDocumented(t *testing.T) {
	folders := made(t)
	if _, err := makeKit(); err != nil {
		t.Fatal(err)
	}
	crane := chartTool(t, "crane")
	for _, helm := range []string{"helm3", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			registry := startRegistry(t, crane)
			host := map[string]string{"helm3": registry.plainHost, "helm4": registry.host}[helm]
			build, programs, home := t.TempDir(), t.TempDir(), t.TempDir()
			if err := os.CopyFS(build+"/image", os.DirFS(folders[0]+"/image")); err != nil {
				t.Fatal(err)
			}
			for name, path := range map[string]string{"crane": crane, "helm": chartTool(t, helm)} {
				if err := os.Symlink(path, filepath.Join(programs, name)); err != nil {
					t.Fatal(err)
				}
			}
			digests := map[string]string{}
			run := func(command string) string {
				t.Helper()
				line := strings.NewReplacer("REGISTRY", host+"/llm", "build/", build+"/", "destination build", "destination "+build,
					"IMAGE_DIGEST", digests["extproc"], "CHART_DIGEST", digests["envoy-ai-gateway"],
					"make image chart relink-kit", "make --no-print-directory chart", "helm install", "helm template").Replace(command)
				shell := exec.Command("sh", "-c", line)
				shell.Dir = rig.Root()
				shell.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "BUILD="+build, "HOME="+home,
					"XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home,
					"DOCKER_CONFIG="+home, "SSL_CERT_FILE="+registry.certificate, "PATH="+programs+":"+os.Getenv("PATH"))
				var complaint strings.Builder
				shell.Stderr = &complaint
				output, err := shell.Output()
				if err != nil {
					t.Fatalf("%s: %v\n%s%s", line, err, output, &complaint)
				}
				return strings.TrimSpace(string(output))
			}
			commands := publishing(t)
			digest := regexp.MustCompile(`^crane digest REGISTRY/([a-z-]+):`)
			for _, command := range slices.Concat(commands["Build"], commands["Push"]) {
				output := run(command)
				if found := digest.FindStringSubmatch(command); found != nil {
					digests[found[1]] = output
				}
			}
			if built := inArchive(t, build+"/image/extproc.tar"); digests["extproc"] != built {
				t.Errorf("pushed %s, the archive has %s", digests["extproc"], built)
			}
			var rendering string
			for _, command := range commands["Install by digest"] {
				rendering = run(command)
			}
			if want := `image: "` + host + "/llm/extproc@" + digests["extproc"] + `"`; !strings.Contains(rendering, want) {
				t.Errorf("no %s in\n%s", want, rendering)
			}
			if pulled, _ := filepath.Glob(build + "/envoy-ai-gateway-*.tgz"); len(pulled) != 1 {
				t.Errorf("pulled: %q", pulled)
			}
		})
	}
}

// Whoever adds a command adds it where it is run, or says why it is not.
func TestPublishingHasNoOtherCommands(t *testing.T) {
	ran := []string{"Build", "Push", "Install by digest"}
	for title, commands := range publishing(t) {
		for _, command := range commands {
			if !slices.Contains(ran, title) && !strings.HasPrefix(command, "cosign ") {
				t.Errorf("no test runs %s", command)
			}
		}
	}
	for _, title := range ran {
		if len(publishing(t)[title]) == 0 {
			t.Errorf("docs/publishing.md has no commands in %q", title)
		}
	}
}
