// SPDX-License-Identifier: Apache-2.0

// Paths, methods, headers and versions: each row is sent as it stands to both programs and the answers
// must be the same, byte for byte but for the date and the order of headers.

package contract

import (
	"slices"
	"strings"
	"testing"
)

type row struct {
	name    string
	request string
}

const form = "application/x-www-form-urlencoded"

var answerRows = []row{
	// Names.
	{"cmdline", get("/debug/pprof/cmdline")},
	{"cmdline ignores the query", get("/debug/pprof/cmdline?debug=1&seconds=x;%zz")},
	{"cmdline with an escape", get("/debug/pprof/cmdl%69ne")},
	{"cmdline with an escaped slash before it", get("/debug/pprof%2Fcmdline")},
	{"symbol", get("/debug/pprof/symbol")},
	{"unknown name", get("/debug/pprof/nosuch")},
	{"unknown name with a bad parameter", get("/debug/pprof/nosuch?seconds=x")},
	{"unknown name with debug", get("/debug/pprof/nosuch?debug=1")},
	{"unknown name with seconds", get("/debug/pprof/nosuch?seconds=1")},
	{"upper case", get("/debug/pprof/HEAP")},
	{"upper case cmdline", get("/debug/pprof/Cmdline")},
	{"heap and a slash", get("/debug/pprof/heap/")},
	{"cmdline and a slash", get("/debug/pprof/cmdline/")},
	{"symbol and a slash", get("/debug/pprof/symbol/")},
	{"profile and a slash", get("/debug/pprof/profile/")},
	{"profile and a slash with seconds", get("/debug/pprof/profile/?seconds=1")},
	{"trace and a slash", get("/debug/pprof/trace/")},
	{"below cmdline", get("/debug/pprof/cmdline/x")},
	{"NUL at the end", get("/debug/pprof/heap%00")},
	{"NUL after cmdline", get("/debug/pprof/cmdline%00")},
	{"name that is not UTF-8", get("/debug/pprof/%ff%fe")},
	{"name with markup", get("/debug/pprof/%3Cscript%3E")},
	{"plus is no space in a path", get("/debug/pprof/+cmdline")},
	{"20 kB name", get("/debug/pprof/" + strings.Repeat("n", 20000))},
	{"20 kB query", get("/debug/pprof/nosuch?" + strings.Repeat("q", 20000))},
	{"semicolon in the path", get("/debug/pprof/cmdline;x")},

	// Outside.
	{"root", get("/")},
	{"root with a query", get("/?x=1")},
	{"one up", get("/debug/")},
	{"one up without slash", get("/debug")},
	{"favicon", get("/favicon.ico")},
	{"begins like ours", get("/debug/pprofile")},

	// Redirects.
	{"no slash", get("/debug/pprof")},
	{"no slash with a query", get("/debug/pprof?x=1")},
	{"no slash with an empty query", get("/debug/pprof?")},
	{"no slash with a query to escape", get("/debug/pprof?a=1&b=<\"'>&c=%zz;d")},
	{"no slash by POST", withBody("POST", "/debug/pprof", form, "x=1")},
	{"no slash by HEAD", request("HEAD", "/debug/pprof")},
	{"no slash by PUT", request("PUT", "/debug/pprof")},
	{"no slash by OPTIONS", request("OPTIONS", "/debug/pprof")},
	{"two slashes", get("/debug/pprof//heap")},
	{"two slashes first", get("//debug/pprof/cmdline")},
	{"two slashes last", get("/debug/pprof//")},
	{"two slashes and a query", get("/debug/pprof//heap?debug=1&x=%20")},
	{"dot", get("/debug/pprof/./heap")},
	{"dot last", get("/debug/pprof/.")},
	{"up and down", get("/debug/pprof/../pprof/heap")},
	{"up last", get("/debug/pprof/..")},
	{"up last with slash", get("/debug/pprof/../")},
	{"up beyond the root", get("/../../debug/pprof/heap")},
	{"up to another place", get("/debug/pprof/../../etc/passwd")},
	{"escaped dots", get("/debug/pprof/%2e%2e/pprof/heap")},
	{"cleaned by POST", request("POST", "/debug/pprof//heap", "Content-Length: 0")},
	{"cleaned by HEAD", request("HEAD", "/debug/pprof//heap")},
	{"three dots are a name", get("/debug/pprof/...")},

	// Methods: all are served.
	{"HEAD cmdline", request("HEAD", "/debug/pprof/cmdline")},
	{"HEAD symbol", request("HEAD", "/debug/pprof/symbol")},
	{"HEAD unknown", request("HEAD", "/debug/pprof/nosuch")},
	{"HEAD outside", request("HEAD", "/nosuch")},
	{"POST cmdline", withBody("POST", "/debug/pprof/cmdline", form, "x=1")},
	{"POST cmdline without a type", withBody("POST", "/debug/pprof/cmdline", "", "x=1")},
	{"POST unknown", withBody("POST", "/debug/pprof/nosuch", form, "seconds=1")},
	{"POST with an empty body", withBody("POST", "/debug/pprof/cmdline", "", "")},
	{"POST in chunks", request("POST", "/debug/pprof/cmdline", "Transfer-Encoding: chunked") + "3\r\nx=1\r\n0\r\n\r\n"},
	{"PUT cmdline", withBody("PUT", "/debug/pprof/cmdline", form, "x=1")},
	{"DELETE cmdline", request("DELETE", "/debug/pprof/cmdline")},
	{"PATCH cmdline", withBody("PATCH", "/debug/pprof/cmdline", form, "x=1")},
	{"OPTIONS cmdline", request("OPTIONS", "/debug/pprof/cmdline")},
	{"OPTIONS unknown", request("OPTIONS", "/debug/pprof/nosuch")},
	{"OPTIONS star", request("OPTIONS", "*")},
	{"TRACE cmdline", request("TRACE", "/debug/pprof/cmdline")},
	// Go closes after CONNECT since 1.27.
	{"CONNECT does not clean", request("CONNECT", "/debug/pprof//cmdline", "Connection: close")},
	{"CONNECT an authority", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\nConnection: close\r\n\r\n"},
	{"invented method", request("FROB", "/debug/pprof/cmdline")},
	{"lower-case method", request("get", "/debug/pprof/cmdline")},
	{"GET with a body", withBody("GET", "/debug/pprof/cmdline", form, "x=1")},

	// Request headers that change nothing.
	{"Accept-Encoding", get("/debug/pprof/cmdline", "Accept-Encoding: gzip, br")},
	{"Range", get("/debug/pprof/cmdline", "Range: bytes=0-3")},
	{"If-None-Match", get("/debug/pprof/cmdline", "If-None-Match: *")},
	{"Accept", get("/debug/pprof/nosuch", "Accept: application/json")},
	{"Origin", get("/debug/pprof/cmdline", "Origin: http://elsewhere")},
	{"Cookie", get("/debug/pprof/cmdline", "Cookie: a=b; c")},
	{"Upgrade to HTTP/2", get("/debug/pprof/cmdline", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
		"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")},
	{"Upgrade to WebSocket", get("/debug/pprof/cmdline", "Connection: Upgrade", "Upgrade: websocket")},
	{"spaces around a value", get("/debug/pprof/cmdline", "X-Spaces: \t a \t ")},
	{"empty value", get("/debug/pprof/cmdline", "X-Empty:")},
	{"Latin-1 value", get("/debug/pprof/cmdline", "X-Latin: \xe9")},
	{"60 headers", get("/debug/pprof/cmdline", strings.Split(strings.Repeat("X-Many: yes\n", 60), "\n")[:60]...)},
	{"8 kB header", get("/debug/pprof/cmdline", "X-Long: "+strings.Repeat("x", 8000))},

	// Versions and connections.
	{"absolute target", get("http://localhost/debug/pprof/cmdline")},
	{"absolute target, other host", get("http://elsewhere:80/debug/pprof/nosuch")},
	{"Connection: close", get("/debug/pprof/cmdline", "Connection: close")},
	{"Connection: close on an error", get("/debug/pprof/nosuch", "Connection: close")},
	{"Connection: Close in capitals", get("/debug/pprof/cmdline", "Connection: CLOSE")},
	{"Connection: keep-alive", get("/debug/pprof/cmdline", "Connection: keep-alive")},
	{"HTTP/1.0", "GET /debug/pprof/cmdline HTTP/1.0\r\n\r\n"},
	{"HTTP/1.0 with Host", "GET /debug/pprof/cmdline HTTP/1.0\r\nHost: localhost\r\n\r\n"},
	{"HTTP/1.0 unknown", "GET /debug/pprof/nosuch HTTP/1.0\r\n\r\n"},
	{"HTTP/1.0 keep-alive", "GET /debug/pprof/cmdline HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
	{"HTTP/1.0 redirect", "GET /debug/pprof HTTP/1.0\r\n\r\n"},
	{"HTTP/1.0 HEAD", "HEAD /debug/pprof/cmdline HTTP/1.0\r\n\r\n"},

	// Odd but allowed.
	{"empty Host", "GET /debug/pprof/cmdline HTTP/1.1\r\nHost:\r\n\r\n"},
}

// answerDifferences are those of the library, and what is ours on purpose.
var answerDifferences = append(slices.Clone(libraryDifferences),
	difference{"absolute target, other host", "status", "HTTP/1.1 403 Forbidden", "a host that is not ours: DNS rebinding"},
	difference{"absolute target, other host", "body", `"the Host header is neither .*`, "likewise"},
)

func TestAnswersAreGos(t *testing.T) {
	ours, golang := both(t)
	met := make([]int, len(answerDifferences))
	for _, r := range answerRows {
		t.Run(r.name, func(t *testing.T) {
			found, _ := compare(t, ours, golang, r.request)
			judge(t, r.name, found, answerDifferences, met, r.request)
		})
	}
	if !t.Failed() {
		differencesAreMet(t, answerDifferences, met)
	}
	for _, p := range []*program{ours, golang} {
		if a := ask(t, p.pprofAddress, get("/debug/pprof/cmdline")); a.status != 200 || string(a.body) != p.cmdline() {
			t.Errorf("%s after all these requests: %v", p.name, a)
		}
	}
}

// Go before 1.27 escapes the escapes once more, so this is no row of the table.
func TestRedirectKeepsEscapes(t *testing.T) {
	a := ask(t, startOurs(t).pprofAddress, get("/debug/pprof//a%20b%3Cc?d=%20"))
	if want := "/debug/pprof/a%20b%3Cc?d=%20"; a.status != 307 || a.value("Location") != want {
		t.Errorf("want a redirect to %s: %v", want, a)
	}
}
