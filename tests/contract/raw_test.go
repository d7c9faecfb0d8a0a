// SPDX-License-Identifier: Apache-2.0

// HTTP/1 as bytes: requests are sent as they are written in the tests and answers are kept as they came, because
// net/http's own client hides what is compared here (framing, header spelling, what happens to the connection).

package contract

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hangs is how long any single wait may take before it counts as a hang. No test passes or fails by a shorter time.
const hangs = 50 * time.Second

type header struct{ name, value string }

type answer struct {
	interim []string // status lines of 1xx answers that came first
	line    string   // status line
	status  int
	headers []header
	framing string // "content-length", "chunked", "close" or "none"
	body    []byte
}

func (a *answer) values(name string) (values []string) {
	for _, h := range a.headers {
		if strings.EqualFold(h.name, name) {
			values = append(values, h.value)
		}
	}
	return values
}

func (a *answer) value(name string) string { return strings.Join(a.values(name), " | ") }

func (a *answer) String() string {
	var text strings.Builder
	fmt.Fprintln(&text, a.line)
	for _, h := range a.headers {
		fmt.Fprintf(&text, "%s: %s\n", h.name, h.value)
	}
	fmt.Fprintf(&text, "\n(%d bytes, framing %s) %.300q\n", len(a.body), a.framing, a.body)
	return text.String()
}

// talk is one client connection.
type talk struct {
	t      testing.TB
	conn   *net.TCPConn
	reader *bufio.Reader
}

func dial(t testing.TB, address string) *talk {
	t.Helper()
	c, err := connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	c.t = t
	return c
}

// connect is dial for code that is not on a test's goroutine; such a talk must not call read.
func connect(address string) (*talk, error) {
	conn, err := net.DialTimeout("tcp", address, hangs)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(hangs))
	return &talk{conn: conn.(*net.TCPConn), reader: bufio.NewReader(conn)}, nil
}

// send ignores errors: a server may refuse a request before it has read all of it, and its answer is what counts.
func (c *talk) send(request string) *talk {
	io.WriteString(c.conn, request)
	return c
}

func (c *talk) halfClose() *talk {
	c.conn.CloseWrite()
	return c
}

// read reads one answer to a request of this method.
func (c *talk) read(method string) *answer {
	c.t.Helper()
	a, err := readAnswer(c.reader, method)
	if err != nil {
		c.t.Fatalf("no complete answer: %v; so far: %v", err, a)
	}
	return a
}

// closed tells whether the server ends the connection instead of answering another request on it.
func (c *talk) closed() bool {
	c.send("GET /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n\r\n")
	a, err := readAnswer(c.reader, "GET")
	return err != nil || a.status != 200
}

// ask sends one request on a connection of its own.
func ask(t testing.TB, address, request string) *answer {
	t.Helper()
	c := dial(t, address)
	defer c.conn.Close()
	return c.send(request).read(methodOf(request))
}

func methodOf(request string) string {
	method, _, _ := strings.Cut(request, " ")
	return method
}

// request builds an HTTP/1.1 request; `extra` are header lines.
func request(method, target string, extra ...string) string {
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: localhost"}, extra...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func get(target string, extra ...string) string { return request("GET", target, extra...) }

func withBody(method, target, contentType, body string) string {
	extra := []string{"Content-Length: " + strconv.Itoa(len(body))}
	if contentType != "" {
		extra = append(extra, "Content-Type: "+contentType)
	}
	return request(method, target, extra...) + body
}

func readAnswer(r *bufio.Reader, method string) (*answer, error) {
	a := &answer{}
	for {
		if err := readHead(r, a); err != nil {
			return a, err
		}
		if a.status >= 200 {
			break
		}
		*a = answer{interim: append(a.interim, a.line)}
	}
	return a, readBody(r, a, method)
}

func readHead(r *bufio.Reader, a *answer) error {
	var err error
	if a.line, err = readLine(r); err != nil {
		return err
	}
	if len(a.line) < 13 || a.line[8] != ' ' || a.line[12] != ' ' || !strings.HasPrefix(a.line, "HTTP/1.") {
		return fmt.Errorf("bad status line %q", a.line)
	}
	if a.status, err = strconv.Atoi(a.line[9:12]); err != nil {
		return fmt.Errorf("bad status line %q", a.line)
	}
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return err
		}
		name, value, found := strings.Cut(line, ": ")
		if !found || name == "" || strings.TrimSpace(name) != name || strings.TrimSpace(value) != value {
			return fmt.Errorf("bad header line %q", line)
		}
		a.headers = append(a.headers, header{name, value})
	}
}

// readLine wants CRLF: a bare LF is a mistake of the server.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return line, err
	}
	text, found := strings.CutSuffix(line, "\r\n")
	if !found {
		return line, fmt.Errorf("line without CRLF: %q", line)
	}
	return text, nil
}

func readBody(r *bufio.Reader, a *answer, method string) (err error) {
	lengths, codings := a.values("Content-Length"), a.values("Transfer-Encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		return fmt.Errorf("more than one framing: %q %q", lengths, codings)
	case len(lengths) == 1:
		a.framing = "content-length"
	case len(codings) == 1 && codings[0] == "chunked":
		a.framing = "chunked"
	case len(codings) == 1:
		return fmt.Errorf("unknown transfer coding %q", codings[0])
	default:
		a.framing = "close"
	}
	if method == "HEAD" || a.status == 204 || a.status == 304 {
		if a.framing == "close" {
			a.framing = "none"
		}
		return nil
	}
	switch a.framing {
	case "content-length":
		length, err := strconv.Atoi(lengths[0])
		if err != nil {
			return fmt.Errorf("bad Content-Length %q", lengths[0])
		}
		a.body = make([]byte, length)
		_, err = io.ReadFull(r, a.body)
		return err
	case "chunked":
		a.body, err = readChunks(r)
		return err
	default:
		a.body, err = io.ReadAll(r)
		return err
	}
}

func readChunks(r *bufio.Reader) ([]byte, error) {
	var body []byte
	for {
		line, err := readLine(r)
		if err != nil {
			return body, err
		}
		size, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return body, fmt.Errorf("bad chunk size %q", line)
		}
		chunk := make([]byte, size)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return body, err
		}
		body = append(body, chunk...)
		end, err := readLine(r)
		if err != nil {
			return body, err
		}
		if end != "" {
			return body, errors.New("a chunk is longer than its size, or there are trailers")
		}
		if size == 0 {
			return body, nil
		}
	}
}
