// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"extproc/tests/internal/rig"
)

type credential struct {
	name       string
	apply      func(*ask)
	auth, mine string // what the audit says where it is looked at
}

var credentials = []credential{
	{"no token", func(*ask) {}, "none", ""},
	{"wrong", func(a *ask) { a.headers["Authorization"] = "Bearer " + oldToken + "x" }, "unknown", ""},
	{"Bearer, the new one", func(a *ask) { a.headers["Authorization"] = "Bearer " + newToken }, "token", "scraper"},
	{"Bearer, the old one", func(a *ask) { a.headers["Authorization"] = "bearer " + oldToken }, "token", "engineer"},
	{"Basic", func(a *ask) { a.user, a.password = "any", newToken }, "token", "scraper"},
}

type target struct {
	name, method, path, profile string
	status                      int
	isQuiet                     bool // no line when it is served
}

// The page's files are found in the index.
var assetPattern = regexp.MustCompile(`(?:src|href)=["']?(?:/debug/pprof/)?(page/[^"' >?]+)`)

func targets(t *testing.T, e *rig.Extproc) []target {
	t.Helper()
	rows := []target{
		{"index", "GET", "/debug/pprof/?", "index", 200, true},
		{"heap", "GET", "/debug/pprof/heap?", "heap", 200, false},
		{"profile", "GET", "/debug/pprof/profile?seconds=1&", "profile", 200, false},
		{"symbol", "POST", "/debug/pprof/symbol?", "symbol", 200, false},
		{"asset", "GET", "/debug/pprof/page/none?", "", 404, false},
	}
	a := ask{url: "http://" + at(e, "127.0.0.1") + "/debug/pprof/", headers: bearer(newToken)}
	if _, _, index := a.do(t); assetPattern.Match(index) {
		path := "/debug/pprof/" + string(assetPattern.FindSubmatch(index)[1]) + "?"
		rows[len(rows)-1] = target{"asset", "GET", path, "", 200, true}
	}
	return rows
}

// What a browser says of where a request comes from.
var sites = []struct {
	name               string
	site, mode, dest   string
	isRefused          bool // for all
	isRefusedForOthers bool // for all but the index
}{
	{"no browser", "", "", "", false, false},
	{"typed", "none", "navigate", "document", false, false},
	{"the page itself", "same-origin", "cors", "empty", false, false},
	{"a link elsewhere", "cross-site", "navigate", "document", false, true},
	{"an image elsewhere", "cross-site", "no-cors", "image", true, true},
	{"a sibling site", "same-site", "cors", "empty", true, true},
}

type row struct {
	credential   credential
	peer         string
	target       target
	host         string
	site         int
	asksLoopback bool
}

func (r row) String() string {
	return fmt.Sprintf("%s, from %s, %s, Host %q, %s, loopback asked: %v", r.credential.name, r.peer, r.target.name,
		r.host, sites[r.site].name, r.asksLoopback)
}

// expected is the rule as SECURITY.md has it.
func (r row) expected() (status int, refused string) {
	site := sites[r.site]
	isIndex := r.target.name == "index"
	isAsked := r.asksLoopback || r.peer != "127.0.0.1"
	switch {
	case r.host == "evil.example":
		return 403, "host"
	case site.isRefused, site.isRefusedForOthers && !isIndex:
		return 403, "cross_site"
	case isAsked && r.credential.auth == "none":
		return 401, "no_token"
	case isAsked && r.credential.mine == "":
		return 401, "wrong_token"
	}
	return r.target.status, ""
}

func (r row) check(t *testing.T, e *rig.Extproc, number int) {
	word := fmt.Sprintf("row=%d", number)
	a := ask{method: r.target.method, url: "http://" + at(e, r.peer) + r.target.path + word, host: r.host,
		headers: map[string]string{}}
	r.credential.apply(&a)
	site := sites[r.site]
	for name, value := range map[string]string{"Site": site.site, "Mode": site.mode, "Dest": site.dest} {
		if value != "" {
			a.headers["Sec-Fetch-"+name] = value
		}
	}
	status, headers, body := a.do(t)
	wantStatus, wantRefused := r.expected()
	if status != wantStatus {
		t.Errorf("%v: status %d, want %d: %.100s", r, status, wantStatus, body)
		return
	}
	if ways := headers.Values("WWW-Authenticate"); (status == 401) != (len(ways) == 2) {
		t.Errorf("%v: status %d, WWW-Authenticate %q", r, status, ways)
	}
	r.checkAudit(t, e, word, wantStatus, wantRefused)
}

// The line is there soon after the answer.
func (r row) checkAudit(t *testing.T, e *rig.Extproc, word string, status int, refused string) {
	if r.target.isQuiet && refused == "" {
		return // all lines are looked at in the end
	}
	var lines []line
	rig.Eventually(t, func() string {
		if lines = auditOf(t, e, word); len(lines) == 0 {
			return fmt.Sprintf("%v: an audit line", r)
		}
		return ""
	})
	got := lines[0]
	peer, _, _ := net.SplitHostPort(got.Peer)
	want := line{Time: got.Time, Level: "info", Msg: "pprof request", Peer: got.Peer, Auth: r.credential.auth,
		Token: r.credential.mine, Method: r.target.method, Query: got.Query, Status: status, Refused: refused,
		Bytes: got.Bytes, Duration: got.Duration}
	want.Path, _, _ = strings.Cut(r.target.path, "?")
	if refused == "host" || refused == "cross_site" { // the token was not looked at
		want.Token = ""
		if want.Auth == "token" {
			want.Auth = "unknown"
		}
	}
	if refused == "" {
		want.Profile = r.target.profile
		if want.Profile == "profile" {
			want.Seconds = 1
		}
	}
	if len(lines) != 1 || got != want || peer != r.peer || got.Time == "" || got.Bytes == 0 {
		t.Errorf("%v:\n%+v, want one:\n%+v", r, lines, want)
	}
}

// Every credential, from every peer, to every kind of thing, under every Host, from every kind of page.
func TestTable(t *testing.T) {
	peers := []string{"127.0.0.1", otherPeer}
	if noOtherPeer != "" {
		t.Logf("only loopback is tried: %s", noOtherPeer)
		peers = peers[:1]
	}
	file := writeFile(t, "tokens", rotation)
	for _, asksLoopback := range []bool{false, true} {
		t.Run(fmt.Sprintf("loopback asked %v", asksLoopback), func(t *testing.T) {
			e := rig.StartExtproc(t, "PPROF_ADDRESS=:0", "PPROF_TOKEN_FILE="+file, "PPROF_CPU_WINDOWS=64",
				"PPROF_TIMED_REQUESTS=48", fmt.Sprintf("PPROF_AUTH_LOOPBACK=%v", asksLoopback))
			var rows []row
			for _, target := range targets(t, e) {
				for _, peer := range peers {
					for _, credential := range credentials {
						for _, host := range []string{"localhost", "evil.example", "192.0.2.7:6060"} {
							for site := range sites {
								rows = append(rows, row{credential, peer, target, host, site, asksLoopback})
							}
						}
					}
				}
			}
			checkAll(t, e, rows)
		})
	}
}

func checkAll(t *testing.T, e *rig.Extproc, rows []row) {
	var running sync.WaitGroup
	places := make(chan struct{}, 20) // within a peer's share of connections
	for number, r := range rows {
		running.Add(1)
		places <- struct{}{}
		go func() {
			defer running.Done()
			r.check(t, e, number)
			<-places
		}()
	}
	running.Wait()
	quiet := 0
	for number, r := range rows {
		if _, refused := r.expected(); r.target.isQuiet && refused == "" {
			quiet++
			if lines := auditOf(t, e, fmt.Sprintf("row=%d", number)); len(lines) != 0 {
				t.Errorf("%v: %+v, want no line", r, lines)
			}
		}
	}
	if quiet == 0 || len(rows) < 400 {
		t.Errorf("%d rows, %d of them without a line", len(rows), quiet)
	}
	for _, text := range e.Lines() {
		if strings.Contains(text, oldToken) || strings.Contains(text, newToken) {
			t.Errorf("a token in the log: %s", text)
		}
	}
}
