// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

// A refusal comes before the body: nobody uploads megabytes without a token. Where there is none, the connection stays
// for the request with the token, as a browser sends it after its dialog.
func TestRefusalComesFirst(t *testing.T) {
	t.Parallel()
	e := rig.StartExtproc(t, "PPROF_TOKEN_FILE="+writeFile(t, "tokens", rotation), "PPROF_AUTH_LOOPBACK=true")
	conn, err := net.Dial("tcp", e.Pprof)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(rig.Deadline))
	reader := bufio.NewReader(conn)
	read := func(method string) *http.Response {
		t.Helper()
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		return response
	}
	const head = " /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n"
	for _, method := range []string{"GET", "HEAD"} {
		fmt.Fprintf(conn, "%s%s\r\n", method, head)
		if response := read(method); response.StatusCode != 401 || response.Close {
			t.Errorf("%s: %v", method, response)
		}
	}
	fmt.Fprintf(conn, "GET%sAuthorization: Bearer %s\r\n\r\n", head, newToken)
	if response := read("GET"); response.StatusCode != 200 {
		t.Errorf("with a token, on the same connection: %v", response)
	}
	// Nothing of this body is ever sent, and a client that waits for `100 Continue` is not told to.
	fmt.Fprintf(conn, "POST%sContent-Length: 8000000\r\nExpect: 100-continue\r\n\r\n", head)
	if response := read("POST"); response.StatusCode != 401 || !response.Close {
		t.Errorf("POST: %v", response)
	}
	if rest, err := io.ReadAll(reader); err != nil || len(rest) != 0 {
		t.Errorf("afterwards: %q, %v", rest, err)
	}
	rig.Eventually(t, func() string {
		var methods []string
		for _, l := range auditOf(t, e, "") {
			methods = append(methods, l.Method)
		}
		if got := strings.Join(methods, " "); got != "GET HEAD GET POST" {
			return "lines of GET HEAD GET POST, not of " + got
		}
		return ""
	})
}
