// SPDX-License-Identifier: Apache-2.0

// What the server does to clients that send too much, too slowly or never: it gets rid of them and serves the others.

package contract

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// Both close a connection whose request does not come; Go with a 400 as a farewell, ours may say 408 or nothing.
// A request whose headers are complete but not its body is closed by ours only: Go has no limit there unless
// Server.ReadTimeout is set, and then a client could hold a connection for ever.
func TestSlowRequestsAreClosed(t *testing.T) {
	t.Parallel()
	ours, golang := both(t)
	for name, c := range map[string]struct {
		sent     string
		drip     string // sent again and again
		programs []*program
	}{
		"nothing":             {"", "", []*program{ours, golang}},
		"half a request line": {"GET /debug/pp", "", []*program{ours, golang}},
		"half the headers":    {"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: loc", "", []*program{ours, golang}},
		"no empty line":       {"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\n", "", []*program{ours, golang}},
		"dripping path":       {"GET /", "a", []*program{ours, golang}},
		"dripping headers":    {"GET / HTTP/1.1\r\nHost: localhost\r\n", "X-Drip: 1\r\n", []*program{ours, golang}},
		"half a body":         {request("POST", "/debug/pprof/symbol", "Content-Length: 7") + "0x1", "", []*program{ours}},
		"half a form": {request("POST", "/debug/pprof/profile", "Content-Type: "+form, "Content-Length: 9") + "sec",
			"", []*program{ours}},
		"dripping body": {request("POST", "/debug/pprof/symbol", "Transfer-Encoding: chunked"), "1\r\n0\r\n",
			[]*program{ours}},
	} {
		for _, p := range c.programs {
			t.Run(name+" "+p.name, func(t *testing.T) {
				t.Parallel()
				talk := dial(t, p.pprofAddress).send(c.sent)
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					for c.drip != "" {
						select {
						case <-stop:
							return
						case <-time.After(200 * time.Millisecond):
							talk.send(c.drip)
						}
					}
				}()
				farewell, err := io.ReadAll(talk.reader)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("still open after %v", hangs)
				}
				text := string(farewell)
				if text != "" && !strings.HasPrefix(text, "HTTP/1.1 400 ") && !strings.HasPrefix(text, "HTTP/1.1 408 ") {
					t.Errorf("farewell: %q", text)
				}
			})
		}
	}
}

// More idle connections than the server keeps do not lock others out for longer than the idle ones may live.
func TestIdleCrowdLocksNobodyOut(t *testing.T) {
	t.Parallel()
	for _, p := range pair(both(t)) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for range 300 {
				if c, err := connect(p.pprofAddress); err == nil {
					defer c.conn.Close()
				}
			}
			for deadline := time.Now().Add(hangs); ; time.Sleep(50 * time.Millisecond) {
				if c, err := connect(p.pprofAddress); err == nil {
					a, err := readAnswer(c.send(get("/debug/pprof/cmdline")).reader, "GET")
					c.conn.Close()
					if err == nil && a.status == 200 {
						return
					}
				}
				if time.Now().After(deadline) {
					t.Fatal("nobody else is served")
				}
			}
		})
	}
}

// Too much is refused (Go: 431 for headers above 1 MB), and the server goes on. Ours may refuse earlier, since it
// bounds the memory of a connection.
func TestTooMuchIsRefused(t *testing.T) {
	refusals := []int{400, 413, 414, 431}
	ours, golang := both(t)
	for name, text := range map[string]string{
		"long header":  get("/debug/pprof/cmdline", "X-Long: "+strings.Repeat("x", 2<<20)),
		"many headers": get("/debug/pprof/cmdline", "X-Many: 1"+strings.Repeat("\r\nX-Many: 1", 200_000)),
		"long name":    get("/debug/pprof/cmdline", strings.Repeat("x", 2<<20)+": 1"),
		"long path":    get("/debug/pprof/" + strings.Repeat("x", 2<<20)),
		"long query":   get("/debug/pprof/cmdline?" + strings.Repeat("x", 2<<20)),
		"long method":  request(strings.Repeat("X", 2<<20), "/debug/pprof/cmdline"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range pair(ours, golang) {
				c := dial(t, p.pprofAddress)
				go c.send(text) // a server may answer and close before it has read all
				a, err := readAnswer(c.reader, "GET")
				if err != nil {
					// The answer may be lost: the kernel resets a connection that is closed with unread input.
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%s: neither answered nor closed", p.name)
					}
				} else if !slices.Contains(refusals, a.status) {
					t.Errorf("%s: %v", p.name, a)
				}
				if a := ask(t, p.pprofAddress, get("/debug/pprof/cmdline")); string(a.body) != p.cmdline() {
					t.Errorf("%s afterwards: %v", p.name, a)
				}
			}
		})
	}
}

// A body of any size that nobody wants is harmless, and symbol's is bounded or answered.
func TestLargeBodies(t *testing.T) {
	large := strings.Repeat("x", 16<<20)
	for _, p := range pair(both(t)) {
		for _, target := range []string{"cmdline", "symbol", "nosuch", "profile?seconds=1"} {
			c := dial(t, p.pprofAddress)
			go c.send(withBody("POST", "/debug/pprof/"+target, form, large))
			if a, err := readAnswer(c.reader, "POST"); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %s: neither answered nor closed: %v", p.name, target, a)
			}
			if a := ask(t, p.pprofAddress, get("/debug/pprof/cmdline")); string(a.body) != p.cmdline() {
				t.Errorf("%s: after a large POST to %s: %v", p.name, target, a)
			}
		}
	}
}
