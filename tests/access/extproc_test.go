// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"extproc/tests/internal/rig"
)

const (
	oldToken = "old-token-0123456789"
	newToken = "new-token-9876543210"
	rotation = "engineer:" + oldToken + "\nscraper:" + newToken + "\n"
)

// writeFile writes a file of the test's own and returns its path.
func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// at is where a peer reaches the endpoint of a program that listens on every address.
func at(e *rig.Extproc, host string) string {
	_, port, _ := net.SplitHostPort(e.Pprof)
	return net.JoinHostPort(host, port)
}

// line is what the audit tells of a request.
type line struct {
	Time, Level, Msg, Peer, Auth, Token, Method, Path, Query, Profile, Refused string
	Status, Seconds, Bytes                                                     int
	Duration                                                                   int `json:"duration_us"`
}

// auditOf are the audit lines whose query has a word; "" is all of them.
func auditOf(t testing.TB, e *rig.Extproc, word string) (found []line) {
	t.Helper()
	for _, text := range e.Lines() {
		if !strings.HasPrefix(text, "{") || !strings.Contains(text, word) {
			continue
		}
		var l line
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if word == "" || strings.Contains("&"+l.Query+"&", "&"+word+"&") {
			found = append(found, l)
		}
	}
	return found
}

type ask struct {
	method, url, host string
	headers           map[string]string
	user, password    string
}

func (a ask) do(t testing.TB) (status int, headers http.Header, body []byte) {
	t.Helper()
	if a.method == "" {
		a.method = "GET"
	}
	var sent io.Reader
	if a.method == "POST" {
		sent = strings.NewReader("0x1")
	}
	request, err := http.NewRequest(a.method, a.url, sent)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = a.host
	for name, value := range a.headers {
		request.Header.Set(name, value)
	}
	if a.password != "" {
		request.SetBasicAuth(a.user, a.password)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Errorf("%s %s: %v", a.method, a.url, err)
		return 0, nil, nil
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s %s: %v", a.method, a.url, err)
	}
	return response.StatusCode, response.Header, body
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// runPprof runs the tool in a folder and a home of its own.
func runPprof(ctx context.Context, t testing.TB, arguments ...string) (stdout string, err error) {
	t.Helper()
	folder := t.TempDir()
	cmd := exec.CommandContext(ctx, pprofTool, arguments...)
	cmd.Dir = folder
	cmd.Env = []string{"HOME=" + folder, "PPROF_TMPDIR=" + filepath.Join(folder, "saved"), "PATH=" + os.Getenv("PATH")}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err = cmd.Run(); err != nil {
		t.Logf("pprof %q: %v\n%s", arguments, err, complaints.String())
	}
	return out.String(), err
}
