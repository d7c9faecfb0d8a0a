// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

// send sends bytes as they stand and reads until the server closes.
func send(t testing.TB, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(rig.Deadline))
	io.WriteString(conn, request)
	text, _ := io.ReadAll(conn)
	return string(text)
}

// Wherever somebody puts a token by mistake, it is not written down; and whatever else is sent, a line is one line of
// JSON.
func TestNoTokenIsEverWritten(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "tokens", rotation)
	e := rig.StartExtproc(t, "PPROF_TOKEN_FILE="+file, "PPROF_AUTH_LOOPBACK=true", "EXTPROC_LOG_LEVEL=debug")
	good := "Authorization: Bearer " + newToken + "\r\n"
	var requests []string
	for _, head := range []string{
		"GET http://any:TOKEN@HOST/debug/pprof/cmdline?N HTTP/1.1\r\n" + good,
		"GET http://any:TOKEN@elsewhere/debug/pprof/cmdline?N HTTP/1.1\r\n" + good,
		"GET /debug/pprof/cmdline?N&access_token=TOKEN HTTP/1.1\r\n",
		"GET /debug/pprof/cmdline?N&TOKEN HTTP/1.1\r\n" + good,
		"GET /debug/pprof/TOKEN?N HTTP/1.1\r\n" + good,
		"GET /TOKEN/debug/pprof/?N HTTP/1.1\r\n" + good,
		"TOKEN /debug/pprof/cmdline?N HTTP/1.1\r\n" + good,
		"GET /debug/pprof/cmdline?N HTTP/1.1\r\nAuthorization: Basic TOKEN\r\n",
		"GET /debug/pprof/cmdline?N HTTP/1.1\r\nAuthorization: TOKEN\r\n",
		"GET /debug/pprof/cmdline?N HTTP/1.1\r\nAuthorization: Bearer TOKEN TOKEN\r\n",
		"GET /debug/pprof/cmdline?N&%00%0a\"\\\xff\x01 HTTP/1.1\r\n" + good,
		"GET /debug/pprof/cmdline?N&" + strings.Repeat("a=b&", 5000) + " HTTP/1.1\r\n" + good,
	} {
		head = strings.ReplaceAll(head, "HOST", e.Pprof)
		head = strings.ReplaceAll(head, "TOKEN", oldToken)
		head = strings.Replace(head, "?N", fmt.Sprintf("?at=%d", len(requests)), 1)
		requests = append(requests, head+"Host: localhost\r\nConnection: close\r\n\r\n")
	}
	for i, request := range requests {
		if text := send(t, e.Pprof, request); !strings.HasPrefix(text, "HTTP/1.1 ") {
			t.Errorf("%.200q: %.200q", request, text)
		}
		rig.Eventually(t, func() string {
			if len(auditOf(t, e, fmt.Sprintf("at=%d", i))) != 1 {
				return fmt.Sprintf("one line for %.200q", request)
			}
			return ""
		})
	}
	for _, text := range e.Lines() {
		if strings.Contains(text, oldToken) || strings.Contains(text, newToken) || len(text) > 2000 {
			t.Errorf("%s", text)
		}
	}
}
