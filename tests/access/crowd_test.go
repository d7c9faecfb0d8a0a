// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"extproc/tests/internal/load"
	"extproc/tests/internal/rig"
)

// Five hundred clients that send a byte a second, again and again, keep `go tool pprof` from nothing.
func TestCrowdKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	e := rig.StartExtproc(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var sent atomic.Int64
	running.Go(func() { load.Crowd(ctx, e.Pprof, 500, &sent) })
	defer running.Wait()
	defer stop()
	crowded := func() bool { return e.Metric(`pprof_refused_total{reason="crowd"}`) > 400 }
	rig.Eventually(t, func() string {
		if !crowded() {
			return "connections that make room"
		}
		return ""
	})
	for i := range 3 {
		for _, what := range []string{"heap", "profile?seconds=1"} {
			before := sent.Load()
			if out, err := runPprof(t.Context(), t, "-raw", "http://"+e.Pprof+"/debug/pprof/"+what); err != nil {
				t.Errorf("%s, the %dth time: %v\n%s", what, i, err, out)
			}
			t.Logf("%s came while %d bytes dripped in", what, sent.Load()-before)
		}
	}
}

// A request has five seconds from the first byte of its connection to its last, however it drips: Go's time-outs and
// the library's own would begin anew with each line.
func TestDrippingRequestIsEnded(t *testing.T) {
	t.Parallel()
	e := rig.StartExtproc(t)
	for name, start := range map[string]string{
		"nothing": "", "line": "GET /", "headers": "GET /debug/pprof/ HTTP/1.1\r\n",
		"body": "POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", e.Pprof)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, start)
			go func() {
				for start != "" {
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
					time.Sleep(300 * time.Millisecond)
				}
			}()
			conn.SetReadDeadline(time.Now().Add(rig.Deadline))
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("still open")
			}
		})
	}
}

// stall asks for the names of so many addresses, and takes no more than the first byte of them.
func stall(t *testing.T, e *rig.Extproc, word string, count int) {
	t.Helper()
	_, _, text := ask{url: "http://" + e.Pprof + "/debug/pprof/goroutine?debug=1"}.do(t)
	// The longest name: the answer has to be more than the kernel keeps for a client that reads nothing.
	var address, name []byte
	for _, frame := range regexp.MustCompile(`(?m)^#\t(0x[0-9a-f]+)\t([^\t+]+)`).FindAllSubmatch(text, -1) {
		if len(frame[2]) > len(name) {
			address, name = frame[1], frame[2]
		}
	}
	if address == nil {
		t.Fatalf("no address in %.300s", text)
	}
	body := strings.Repeat(string(address)+"+", count)
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
	}}
	conn, err := dialer.Dial("tcp", e.Pprof)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /debug/pprof/symbol?%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
		word, len(body), body)
	conn.SetReadDeadline(time.Now().Add(rig.Deadline))
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// A client that takes nothing of its answer is ended, and its line says so.
func TestStalledReaderIsEnded(t *testing.T) {
	t.Parallel()
	e := rig.StartExtproc(t)
	stall(t, e, "reader=1", 65_000)
	rig.Eventually(t, func() string {
		lines := auditOf(t, e, "reader=1")
		if len(lines) == 0 {
			return "the end of a stalled reader"
		}
		if l := lines[0]; l.Status != 200 || l.Refused != "stalled" || l.Bytes == 0 {
			t.Errorf("%+v", l)
		}
		return ""
	})
	if count := e.Metric(`pprof_refused_total{reason="stalled"}`); count != 1 {
		t.Errorf("%v stalled readers in the metrics", count)
	}
}

// As many stalled readers as there are connections keep nobody out either.
func TestStalledReadersMakeRoom(t *testing.T) {
	t.Parallel()
	e := rig.StartExtproc(t)
	for i := range 64 {
		stall(t, e, fmt.Sprintf("reader=%d", i), 20_000)
	}
	if out, err := runPprof(t.Context(), t, "-raw", "http://"+e.Pprof+"/debug/pprof/heap"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// One peer has half of the connections at most, and loopback, which port-forward makes of everyone, has them all.
func TestShareOfOnePeer(t *testing.T) {
	t.Parallel()
	if noOtherPeer != "" {
		t.Skip(noOtherPeer)
	}
	e := rig.StartExtproc(t, "PPROF_ADDRESS=:0")
	connect := func(host string) net.Conn {
		conn, err := net.Dial("tcp", at(e, host))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	crowd := func() int { return int(e.Metric(`pprof_refused_total{reason="crowd"}`)) }
	for range 32 {
		connect("127.0.0.1")
	}
	for range 20 {
		connect(otherPeer)
	}
	status, _, _ := ask{url: "http://" + at(e, otherPeer) + "/debug/pprof/cmdline"}.do(t)
	if status != 200 || crowd() != 0 {
		t.Errorf("status %d, %d made room", status, crowd())
	}
	first := connect(otherPeer)
	for range 32 {
		connect(otherPeer)
	}
	first.SetReadDeadline(time.Now().Add(rig.Deadline))
	if _, err := io.ReadAll(first); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the oldest of its peer is still there")
	}
	rig.Eventually(t, func() string {
		if crowd() < 1 {
			return "that somebody made room"
		}
		return ""
	})
}
