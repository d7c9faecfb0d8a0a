// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	oldToken = "old-token-0123456789"
	newToken = "new-token-9876543210"

	// As the chart's README has it.
	secretCommand = "kubectl create secret generic pprof --from-file=token"
)

// A token of a Secret stands in front of pprof where no policy does; it rotates without a restart; and
// port-forward needs it where the values say so.
func TestTokenOfASecret(t *testing.T) {
	timed(t)
	n := newNamespace(t)
	n.folder = filepath.Dir(n.file("token", "engineer:"+oldToken+"\n"))
	r := release{n, "helm"}
	n.must(secretCommand, "")
	const values = "--set extProc.replicaCount=1 --set extProc.pprof.auth.existingSecret=pprof "
	r.install(values + "--set networkPolicy.enabled=false")
	visitor := n.visitor("visitor", nil)

	check := func(what string, want map[string]string) {
		t.Helper()
		for token, status := range want {
			if got := visitor.profile(r, token); got != status {
				t.Errorf("%s, token %q: %s, want %s", what, token, got, status)
			}
		}
	}
	check("by the pod's address", map[string]string{"": "401", "wrong-token-0123456789": "401", oldToken: "200", newToken: "401"})
	f := r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
	if status := f.profile(""); status != 200 {
		t.Errorf("port-forward without a token: %d", status)
	}

	before := r.pods()[0]
	n.setTokens("engineer:" + oldToken + "\nscraper:" + newToken + "\n")
	r.waitForSecret(visitor, newToken, "200")
	check("both", map[string]string{"": "401", oldToken: "200", newToken: "200"})
	n.setTokens("scraper:" + newToken + "\n")
	r.waitForSecret(visitor, oldToken, "401")
	check("the new one", map[string]string{"": "401", oldToken: "401", newToken: "200"})
	after := r.pods()[0]
	if after.Name != before.Name || after.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("%s became %s, %d restarts", before.Name, after.Name, after.Status.ContainerStatuses[0].RestartCount)
	}
	checkAuditLines(t, r)

	r.upgrade(values + "--set extProc.pprof.auth.loopback=true")
	f = r.startForward("kubectl port-forward deployment/" + deployment + " :6060")
	for token, want := range map[string]int{"": 401, newToken: 200} {
		if status := f.profile(token); status != want {
			t.Errorf("port-forward with loopback asked, token %q: %d, want %d", token, status, want)
		}
	}
}

// setTokens changes the Secret.
func (n namespace) setTokens(text string) {
	n.t.Helper()
	secret := &core.Secret{ObjectMeta: meta.ObjectMeta{Name: "pprof"}, StringData: map[string]string{"token": text}}
	if _, err := client.CoreV1().Secrets(n.name).Update(short(n.t), secret, meta.UpdateOptions{}); err != nil {
		n.t.Fatal(err)
	}
}

// waitForSecret waits until the changed Secret is in the pod.
func (r release) waitForSecret(visitor pod, token, want string) {
	r.t.Helper()
	r.wakeKubelet()
	eventually(r.t, func() string {
		if got := visitor.profile(r, token); got != want {
			return fmt.Sprintf("the changed Secret is not in the pod: token %q gets %s, not %s", token, got, want)
		}
		return ""
	})
}

// wakeKubelet has the kubelet bring what changed into the volumes now: it looks once a minute or so,
// and when the pod changes.
func (r release) wakeKubelet() {
	r.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"extproc-tests/look":%q}}}`, time.Now())
	_, err := client.CoreV1().Pods(r.name).Patch(short(r.t), r.pods()[0].Name, types.MergePatchType, []byte(patch),
		meta.PatchOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
}

func authorization(token string) string {
	if token == "" {
		return ""
	}
	return "Bearer " + token
}

// profile asks the release's pod for a heap profile, from another pod, and returns the status.
func (p pod) profile(r release, token string) string {
	p.t.Helper()
	script := `printf 'GET /debug/pprof/heap?debug=1 HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: close\r\n\r\n' "$0" "$1"`
	if token == "" {
		script = `printf 'GET /debug/pprof/heap?debug=1 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$0"`
	}
	output, err := p.exec("visitor", "sh", "-c", script+` | nc -w 20 "$0" 6060`, r.pods()[0].Status.PodIP, authorization(token))
	status, _, _ := strings.Cut(strings.TrimPrefix(output, "HTTP/1.1 "), " ")
	if err != nil || len(status) != 3 {
		return fmt.Sprintf("%v %.80q", err, output)
	}
	return status
}

func (f *forward) profile(token string) int {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", f.url+"/debug/pprof/heap?debug=1", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Close = true
	if token != "" {
		request.Header.Set("Authorization", authorization(token))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// Each request left a line: from where, with whose token, and never the token itself.
func checkAuditLines(t *testing.T, r release) {
	t.Helper()
	log, err := client.CoreV1().Pods(r.name).GetLogs(r.pods()[0].Name, &core.PodLogOptions{}).DoRaw(short(t))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(log); strings.Contains(text, oldToken) || strings.Contains(text, newToken) {
		t.Error("a token is in the log")
	}
	seen := map[string]bool{}
	for _, text := range linesWith(string(log), `{"time":`) {
		var line struct {
			Peer, Auth, Token, Refused string
			Status                     int
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		where := "pod"
		if strings.HasPrefix(line.Peer, "127.0.0.1:") || strings.HasPrefix(line.Peer, "[::1]:") {
			where = "loopback"
		}
		seen[fmt.Sprintf("%s %s %s %d%s", where, line.Auth, line.Token, line.Status, line.Refused)] = true
	}
	for _, want := range []string{"pod none  401no_token", "pod unknown  401wrong_token", "pod token engineer 200",
		"pod token scraper 200", "loopback none  200"} {
		if !seen[want] {
			t.Errorf("no audit line says %q; these do: %v", want, seen)
		}
	}
}
