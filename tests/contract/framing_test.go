// SPDX-License-Identifier: Apache-2.0

// Framing, and connections that carry more than one request. The body whose length a test can choose is cmdline's,
// through argv[0].

package contract

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// withCmdlineOf makes cmdline's answer exactly `length` bytes long.
func withCmdlineOf(length int) option {
	return func(cmd *exec.Cmd) {
		rest := len(strings.Join(cmd.Args[1:], "\x00")) + 1
		cmd.Args[0] = strings.Repeat("a", length-rest)
	}
}

func TestFramingChangesAt2048(t *testing.T) {
	for _, length := range []int{2047, 2048, 2049, 4096, 100_000} {
		ours, golang := both(t, withCmdlineOf(length))
		for name, text := range map[string]string{
			"HTTP/1.1":            get("/debug/pprof/cmdline"),
			"HTTP/1.1 close":      get("/debug/pprof/cmdline", "Connection: close"),
			"HTTP/1.0":            "GET /debug/pprof/cmdline HTTP/1.0\r\n\r\n",
			"HTTP/1.0 keep-alive": "GET /debug/pprof/cmdline HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			"HEAD":                request("HEAD", "/debug/pprof/cmdline"),
			"HTTP/1.0 HEAD":       "HEAD /debug/pprof/cmdline HTTP/1.0\r\n\r\n",
		} {
			found, a := compare(t, ours, golang, text)
			judge(t, fmt.Sprintf("%s, %d bytes", name, length), found, libraryDifferences, nil, text)
			if methodOf(text) != "HEAD" {
				checkFraming(t, a)
				if string(a.body) != ours.cmdline() {
					t.Errorf("%s, %d bytes: body of %d bytes differs", name, length, len(a.body))
				}
			}
		}
	}
}

func TestCmdlineIsArgv(t *testing.T) {
	for name, option := range map[string]option{
		"empty argv[0]":     argv0(""),
		"odd bytes":         argv0("a b\n\t\"\xff<é>\\"),
		"argv[0] elsewhere": argv0("/nonexistent/program"),
	} {
		for _, p := range pair(both(t, option)) {
			if a := ask(t, p.pprofAddress, get("/debug/pprof/cmdline")); string(a.body) != p.cmdline() {
				t.Errorf("%s, %s: got %q, want %q", name, p.name, a.body, p.cmdline())
			}
		}
	}
}

func TestManyRequestsOnOneConnection(t *testing.T) {
	for _, p := range pair(both(t)) {
		c := dial(t, p.pprofAddress)
		for i := range 200 {
			if a := c.send(get("/debug/pprof/cmdline")).read("GET"); string(a.body) != p.cmdline() {
				t.Fatalf("%s: answer %d: %v", p.name, i, a)
			}
		}
	}
}

// Answers come in the order of the requests, also after errors, HEAD and bodies that nobody read.
func TestPipelining(t *testing.T) {
	requests := []string{
		get("/debug/pprof/cmdline"),
		get("/debug/pprof/nosuch"),
		request("HEAD", "/debug/pprof/symbol"),
		withBody("POST", "/debug/pprof/cmdline", form, strings.Repeat("GET / HTTP/1.1\r\n", 100)),
		withBody("POST", "/debug/pprof/symbol", "", "0x1+0x2"),
		request("POST", "/debug/pprof/symbol", "Transfer-Encoding: chunked") + chunked("0x1+", "0x2"),
		get("/debug/pprof"),
		get("/debug/pprof/cmdline", "Connection: close"),
		get("/debug/pprof/never/read"),
	}
	ours, golang := both(t)
	talks := []*talk{dial(t, ours.pprofAddress), dial(t, golang.pprofAddress)}
	for _, c := range talks {
		c.send(strings.Join(requests, ""))
	}
	for _, text := range requests[:len(requests)-1] {
		a, b := talks[0].read(methodOf(text)), talks[1].read(methodOf(text))
		judge(t, "pipelined", compareAnswers(a, b, ours.normal, golang.normal), nil, nil, text)
	}
	for i, c := range talks {
		if a, err := readAnswer(c.reader, "GET"); err == nil {
			t.Errorf("%d: answered after Connection: close: %v", i, a)
		}
	}
}
