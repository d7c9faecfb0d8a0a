// SPDX-License-Identifier: Apache-2.0

// Requests that break HTTP: both programs refuse them and go on.

package contract

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

var malformedRows = []row{
	{"no Host", "GET /debug/pprof/cmdline HTTP/1.1\r\n\r\n"},
	{"two Hosts", get("/debug/pprof/cmdline", "Host: other")},
	{"bad Host", "GET /debug/pprof/cmdline HTTP/1.1\r\nHost: a b\r\n\r\n"},
	{"bad escape in the path", get("/debug/pprof/%zz")},
	{"cut escape in the path", get("/debug/pprof/cmdline%4")},
	{"NUL in the path", get("/debug/pprof/cm\x00dline")},
	{"control character in the path", get("/debug/pprof/cm\x01dline")},
	{"relative path", get("debug/pprof/cmdline")},
	{"no version", "GET /debug/pprof/cmdline\r\nHost: localhost\r\n\r\n"},
	{"double space", "GET  /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{"space in the path", get("/debug/pprof/cmd line")},
	{"space before the method", " GET /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	{"method with a bracket", request("G(T", "/debug/pprof/cmdline")},
	{"binary", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"},
	{"version 1.x", "GET /debug/pprof/cmdline HTTP/1.x\r\nHost: localhost\r\n\r\n"},
	{"version in lower case", "GET /debug/pprof/cmdline http/1.1\r\nHost: localhost\r\n\r\n"},
	{"version 2.0", "GET /debug/pprof/cmdline HTTP/2.0\r\nHost: localhost\r\n\r\n"},
	{"version 0.9", "GET /debug/pprof/cmdline HTTP/0.9\r\nHost: localhost\r\n\r\n"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	{"bad header name", get("/debug/pprof/cmdline", "X(Bad: 1")},
	{"space before the colon", get("/debug/pprof/cmdline", "X-Bad : 1")},
	{"header without colon", get("/debug/pprof/cmdline", "X-Bad")},
	{"header without a name", get("/debug/pprof/cmdline", ": 1")},
	{"NUL in a header", get("/debug/pprof/cmdline", "X-Bad: a\x00b")},
	{"bare CR in a header", get("/debug/pprof/cmdline", "X-Bad: a\rb")},
	{"first header folded", "GET /debug/pprof/cmdline HTTP/1.1\r\n Host: localhost\r\n\r\n"},
	{"Content-Length x", request("POST", "/debug/pprof/cmdline", "Content-Length: x")},
	{"Content-Length -1", request("POST", "/debug/pprof/cmdline", "Content-Length: -1")},
	{"Content-Length +1", request("POST", "/debug/pprof/cmdline", "Content-Length: +1") + "x"},
	{"Content-Length 2^64", request("POST", "/debug/pprof/cmdline", "Content-Length: 18446744073709551616")},
	{"two Content-Lengths", request("POST", "/debug/pprof/cmdline", "Content-Length: 1", "Content-Length: 2") + "xx"},
	{"length and chunks", request("POST", "/debug/pprof/symbol", "Content-Length: 3",
		"Transfer-Encoding: chunked") + "0\r\n\r\n"},
	{"unknown transfer coding", request("POST", "/debug/pprof/symbol", "Transfer-Encoding: rot13") + "x"},
	{"chunks in HTTP/1.0", "POST /debug/pprof/symbol HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"bad chunk size", request("POST", "/debug/pprof/symbol", "Transfer-Encoding: chunked") + "zz\r\n\r\n"},
	{"empty line before the request", "\r\n" + get("/debug/pprof/cmdline")},
	{"CONNECT cmdline", request("CONNECT", "/debug/pprof/cmdline")},
	{"folded header", get("/debug/pprof/cmdline", "X-Folded: a", "  b")},
	{"bare LF", "GET /debug/pprof/cmdline HTTP/1.1\nHost: localhost\n\n"},
}

// What ours does with some of them instead of Go's verdict.
var malformedDifferences = []difference{
	{"NUL in the path|space before the method|binary", "verdict", "closed without an answer",
		"libmicrohttpd says nothing to what is no HTTP"},
	{"HTTP/2 preface", "verdict", "505, closed", "it is a version that is not spoken; Go knows the preface"},
	{"Content-Length 2\\^64", "verdict", "413, closed", "a length that is too large, rather than none"},
	{"unknown transfer coding", "verdict", "400, closed", "libmicrohttpd has no 501"},
	{"bad chunk size", "verdict", "400, closed", "Go answers with what it could read of the body"},
	{"length and chunks", "verdict", "400, closed", "RFC 9112 section 6.3 allows both; refusing is safer"},
	{"folded header|bare LF", "verdict", "400, closed", "RFC 9112 sections 2.2 and 5.2 allow both; refusing is safer"},
	{"control character in the path", "verdict", "404, open", "libmicrohttpd lets it through; no name has one"},
	{"empty line before the request", "verdict", "200, open", "RFC 9112 section 2.2 asks servers to ignore it"},
	{"CONNECT cmdline", "verdict", "closed without an answer",
		"a 200 would promise a tunnel; libmicrohttpd refuses to send it"},
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	ours, golang := both(t)
	met := make([]int, len(malformedDifferences))
	for _, r := range malformedRows {
		t.Run(r.name, func(t *testing.T) {
			a, b := verdict(dial(t, ours.pprofAddress), r.request), verdict(dial(t, golang.pprofAddress), r.request)
			var found []mismatch
			if a != b {
				found = append(found, mismatch{"verdict", a, b})
			}
			judge(t, r.name, found, malformedDifferences, met, r.request)
		})
	}
	if !t.Failed() {
		differencesAreMet(t, malformedDifferences, met)
	}
	for _, p := range pair(ours, golang) {
		if a := ask(t, p.pprofAddress, get("/debug/pprof/cmdline")); string(a.body) != p.cmdline() {
			t.Errorf("%s after all these requests: %v", p.name, a)
		}
	}
}

// verdict is the status and what happens to the connection. The page that comes with it is the HTTP library's.
func verdict(c *talk, sent string) string {
	a, err := readAnswer(c.send(sent).reader, methodOf(strings.TrimLeft(sent, " \r\n")))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "neither answered nor closed"
	case err != nil:
		return "closed without an answer"
	default:
		return fmt.Sprintf("%d, %s", a.status, persistence(c))
	}
}
