// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

// hold sends the same to many connections at once, all of it or as much as is told, and hands out the answers'
// heads. None of them is read further, nor closed, before leave is called: what is not sent stays with the server.
func hold(t *testing.T, address, path, body string, connections, sent int) (heads []*http.Response, leave func()) {
	t.Helper()
	heads = make([]*http.Response, connections)
	talks := make([]net.Conn, connections)
	small := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() {
			conn, err := small.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			talks[i] = conn
			conn.SetDeadline(time.Now().Add(rig.Deadline))
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", path, len(body))
			if _, err := io.WriteString(conn, body[:sent]); err != nil {
				t.Error(err)
			}
			if sent < len(body) {
				return
			}
			if heads[i], err = http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return heads, func() {
		for _, conn := range talks {
			if conn != nil {
				conn.Close()
			}
		}
	}
}

// count is how many have a status. The text of those with 503 has to tell why, and when to come again.
func count(t *testing.T, heads []*http.Response) map[int]int {
	t.Helper()
	counts := map[int]int{}
	for _, head := range heads {
		if head == nil {
			continue // told already
		}
		counts[head.StatusCode]++
		if head.StatusCode != 503 {
			continue
		}
		text, err := io.ReadAll(head.Body)
		if err != nil || !strings.Contains(string(text), "other readers") || head.Header.Get("Retry-After") != "1" {
			t.Errorf("503: %v, %q, Retry-After: %q", err, text, head.Header.Get("Retry-After"))
		}
	}
	return counts
}

// peak is the most memory that the program has had.
func peak(t *testing.T, e *rig.Extproc) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(text)
	if match == nil {
		t.Fatalf("no VmHWM in %s", text)
	}
	kilobytes, _ := strconv.Atoi(string(match[1]))
	return kilobytes << 10
}

// Many that send much, ask for much and take no answer get no more memory than there is for all of them, and what
// they had goes back.
func TestManyReadersShareWhatTheyMayHold(t *testing.T) {
	t.Parallel()
	const limit, most, readers = 256 << 20, 100 << 20, 32
	group, _ := rig.MemoryGroup(t, limit)
	e := rig.StartExtprocIn(t, group)
	_, _, text := ask{url: "http://" + e.Pprof + "/debug/pprof/goroutine?debug=1"}.do(t)
	known := regexp.MustCompile(`0x[0-9a-f]+\tlibc_start_main_stage2`).FindString(string(text))
	if known == "" {
		t.Fatalf("no address of a known name in\n%s", text)
	}
	word := strings.Split(known, "\t")[0] + "+"
	addresses := func(bytes int) string { return strings.Repeat(word, bytes/len(word)) }
	const symbol = "/debug/pprof/symbol"
	alive := func(what string) {
		t.Helper()
		if e.HasEnded() {
			t.Fatalf("the processor ended with %s", what)
		}
		// The connections that were left are closed in their own time.
		rig.Eventually(t, func() string {
			heads, leave := hold(t, e.Pprof, symbol, addresses(1<<20), 1, 1<<20/len(word)*len(word))
			defer leave()
			if counts := count(t, heads); counts[200] != 1 {
				return fmt.Sprintf("one alone gets %v", counts)
			}
			return ""
		})
		if had := peak(t, e); had > most {
			t.Errorf("%s: the peak is %d MiB", what, had>>20)
		}
	}
	for _, round := range []struct {
		what, path     string
		bytes, missing int
		want           map[int]int // nil: some 200, the others 503
	}{
		{"8 MB to symbol", symbol, 8 << 20, 0, map[int]int{413: readers}},
		{"8 MB to nothing", "/nothing", 8 << 20, 0, map[int]int{404: readers}},
		{"requests that break off", symbol, 1 << 20, 1000, map[int]int{}},
		{"answers that nobody takes", symbol, 1 << 20, 0, nil},
		{"the same again", symbol, 1 << 20, 0, nil},
	} {
		body := addresses(round.bytes)
		heads, leave := hold(t, e.Pprof, round.path, body, readers, len(body)-round.missing)
		counts := count(t, heads)
		t.Logf("%s: %v, peak %d MiB", round.what, counts, peak(t, e)>>20)
		if round.want != nil && fmt.Sprint(counts) != fmt.Sprint(round.want) {
			t.Errorf("%s: %v, want %v", round.what, counts, round.want)
		}
		if round.want == nil && (counts[200] == 0 || counts[503] == 0 || counts[200]+counts[503] != readers) {
			t.Errorf("%s: %v, want some 200 and the others 503", round.what, counts)
		}
		leave()
		alive(round.what)
	}
}
