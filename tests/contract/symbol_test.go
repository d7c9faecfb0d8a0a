// SPDX-License-Identifier: Apache-2.0

// symbol: names for addresses. Rows are templates, since each program has its own addresses: {a} and {b} are the
// entries of two functions in hex without 0x, {+a} lies one byte inside the first.

package contract

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

type symbolRow struct{ name, words string }

// Each row is asked by GET (as the raw query) and by POST (as the body).
var symbolRows = []symbolRow{
	{"one", "0x{a}"},
	{"two in the order asked", "0x{b}+0x{a}"},
	{"the same twice", "0x{a}+0x{a}"},
	{"inside a function", "0x{+a}"},
	{"hex in capitals", "0X{A}"},
	{"decimal", "{a dec}"},
	{"octal", "0{a oct}"},
	{"octal with o", "0o{a oct}"},
	{"binary", "0b{a bin}"},
	{"underscores", "0x_{a}"},
	{"two underscores", "0x__{a}"},
	{"hex without 0x", "{a}"},
	{"leading zeros", "0x0000000000000000000000{a}"},
	{"zero", "0"},
	{"one is no function", "1"},
	{"unknown then known", "0x10+0x{a}"},
	{"unparsable then known", "main+0x{a}"},
	{"2^64-1", "0xffffffffffffffff+0x{a}"},
	{"2^64", "0x10000000000000000+0x{a}"},
	{"non-canonical", "0x8000000000000000+0x{a}"},
	{"negative", "-1+0x{a}"},
	{"trailing plus", "0x{a}+"},
	{"only a plus", "+"},
	{"leading plus", "+0x{a}"},
	{"pluses", "++0x{a}++0x{b}++"},
	{"0x alone", "0x+0x{a}"},
	{"escaped plus separates nothing", "0x{a}%2B0x{b}"},
	{"ampersand", "0x{a}&x=1"},
	{"key", "pc=0x{a}+0x{b}"},
	{"semicolon", "0x{a};0x{b}"},
	{"fragment", "0x{a}#x"},
	{"question mark", "?0x{a}+0x{b}"},
	{"comma", "0x{a},0x{b}"},
	{"escape", "0x{a}%20+0x{b}"},
	{"bad escape", "%zz+0x{a}"},
	{"debug=1", "debug=1"},
	{"word of 4095 bytes", "0x{a of 4095}+0x{b}"},
	{"word of 4095 bytes at the end", "0x{a of 4095}"},
	{"word of 4096 bytes", "0x{a of 4096}+0x{b}"},
	{"word of 4097 bytes", "0x{a of 4097}+0x{b}"},
	{"long word that is none", strings.Repeat("x", 5000) + "+0x{a}"},
	{"word of 10000 bytes", "0x{b}+0x{a of 10000}+0x{b}"},
	{"many", strings.Repeat("0x{a}+0x{b}+", 200)},
}

// Rows that cannot be written as a query.
var symbolPostRows = []symbolRow{
	{"newline at the end", "0x{a}+0x{b}\n"},
	{"CRLF at the end", "0x{a}+0x{b}\r\n"},
	{"newline after a plus", "0x{a}+\n"},
	{"newline between", "0x{a}\n+0x{b}"},
	{"space", "0x{a} +0x{b}"},
	{"space as separator", "0x{a} 0x{b}"},
	{"NUL", "0x{a}\x00+0x{b}"},
	{"not ASCII", "0x{a}\xff+0x{b}"},
	{"empty", ""},
	{"very many", strings.Repeat("0x{a}+0x{b}+", 20000)},
}

func TestSymbolIsGos(t *testing.T) {
	ours, golang := both(t)
	oursFill, oursNormal := templates(ours.symbols(t))
	goFill, goNormal := templates(golang.symbols(t))
	met := make([]int, len(libraryDifferences))

	check := func(name, template string) {
		t.Run(name, func(t *testing.T) {
			method := methodOf(template)
			a := ask(t, ours.pprofAddress, withLength(oursFill(template)))
			b := ask(t, golang.pprofAddress, withLength(goFill(template)))
			found := compareAnswers(a, b, oursNormal, goNormal)
			found = withoutFraming(found) // names differ in length, so do the bodies
			judge(t, name, found, libraryDifferences, met, withLength(oursFill(template)))
			if method != "HEAD" {
				checkFraming(t, a)
				checkFraming(t, b)
			}
		})
	}
	for _, r := range symbolRows {
		check("GET "+r.name, get("/debug/pprof/symbol?"+r.words))
		check("POST "+r.name, symbolPost("POST", "/debug/pprof/symbol", "application/octet-stream")+r.words)
	}
	for _, r := range symbolPostRows {
		check("POST "+r.name, symbolPost("POST", "/debug/pprof/symbol", "application/octet-stream")+r.words)
	}
	for name, template := range map[string]string{
		"POST ignores the query":     symbolPost("POST", "/debug/pprof/symbol?0x{b}", "") + "0x{a}",
		"POST without a body":        symbolPost("POST", "/debug/pprof/symbol?0x{b}", ""),
		"POST a form":                symbolPost("POST", "/debug/pprof/symbol", form) + "0x{a}+0x{b}",
		"POST a multipart form":      symbolPost("POST", "/debug/pprof/symbol", "multipart/form-data; boundary=x") + "0x{a}",
		"PUT asks by its query":      symbolPost("PUT", "/debug/pprof/symbol?0x{b}", "") + "0x{a}",
		"DELETE asks by its query":   symbolPost("DELETE", "/debug/pprof/symbol?0x{b}", "") + "0x{a}",
		"post in lower case":         symbolPost("post", "/debug/pprof/symbol?0x{b}", "") + "0x{a}",
		"GET with a body":            symbolPost("GET", "/debug/pprof/symbol?0x{b}", "") + "0x{a}",
		"HEAD":                       request("HEAD", "/debug/pprof/symbol"),
		"POST in chunks":             symbolChunked + "0x{a}+0x{|}{b}{|}+0x{a}",
		"GET an escaped path":        get("/debug/pprof/s%79mbol?0x{a}"),
		"GET an empty query":         get("/debug/pprof/symbol?"),
		"HTTP/1.0 POST":              "POST /debug/pprof/symbol HTTP/1.0\r\nContent-Length: {length}\r\n\r\n0x{a}+0x{b}",
		"HTTP/1.0 POST, no length":   "POST /debug/pprof/symbol?0x{b} HTTP/1.0\r\n\r\n",
		"POST body in content codes": symbolPost("POST", "/debug/pprof/symbol", "", "Content-Encoding: gzip") + "0x{a}",
	} {
		check(name, template)
	}
	if !t.Failed() {
		differencesAreMet(t, libraryDifferences, met)
	}
}

// The header and the body of one request may arrive in any pieces.
func TestSymbolBodyInPieces(t *testing.T) {
	for _, p := range pair(both(t)) {
		fill, normal := templates(p.symbols(t))
		whole := withLength(fill(symbolPost("POST", "/debug/pprof/symbol", "") + "0x{a}+0x{b}"))
		want := normal(string(ask(t, p.pprofAddress, whole).body))
		if strings.Count(want, "\n") != 3 {
			t.Fatalf("%s: %q", p.name, want)
		}
		for cut := range len(whole) {
			c := dial(t, p.pprofAddress)
			a := c.send(whole[:cut]).send(whole[cut:]).read("POST")
			c.conn.Close()
			if got := normal(string(a.body)); a.status != 200 || got != want {
				t.Errorf("%s: cut at %d: %v, want %q", p.name, cut, a, want)
			}
		}
	}
}

// A client that asks for a word before it sends its body gets it.
func TestExpectContinue(t *testing.T) {
	for _, p := range pair(both(t)) {
		c := dial(t, p.pprofAddress)
		c.send(request("POST", "/debug/pprof/symbol", "Expect: 100-continue", "Content-Length: 3"))
		first := &answer{}
		if err := readHead(c.reader, first); err != nil || first.line != "HTTP/1.1 100 Continue" || len(first.headers) != 0 {
			t.Errorf("%s: %v, %v", p.name, err, first)
		}
		if a := c.send("0x1").read("POST"); a.status != 200 || string(a.body) != "num_symbols: 1\n" {
			t.Errorf("%s: %v", p.name, a)
		}
	}
}

var symbolChunked = request("POST", "/debug/pprof/symbol", "Transfer-Encoding: chunked")

// symbolPost is a request but for its body; withLength fills in {length} once the body is known, and makes chunks of a
// body where {|} ends one.
func symbolPost(method, target, contentType string, extra ...string) string {
	extra = append(extra, "Content-Length: {length}")
	if contentType != "" {
		extra = append(extra, "Content-Type: "+contentType)
	}
	return request(method, target, extra...)
}

func withLength(text string) string {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	if strings.Contains(head, "chunked") {
		body = chunked(strings.Split(body, "{|}")...)
	}
	return strings.Replace(head, "{length}", strconv.Itoa(len(body)), 1) + "\r\n\r\n" + body
}

func chunked(parts ...string) string {
	var text strings.Builder
	for _, part := range append(parts, "") {
		fmt.Fprintf(&text, "%x\r\n%s\r\n", len(part), part)
	}
	return text.String()
}

// templates gives the function that fills a template for a program, and the one that makes its answers comparable.
func templates(symbols []symbol) (fill, normal func(string) string) {
	a, b := symbols[0], symbols[1]
	zeros := func(length int) string { // with the 0x of the row
		digits := fmt.Sprintf("%x", a.address)
		return strings.Repeat("0", length-len("0x")-len(digits)) + digits
	}
	values := strings.NewReplacer(
		"{a}", fmt.Sprintf("%x", a.address), "{b}", fmt.Sprintf("%x", b.address),
		"{+a}", fmt.Sprintf("%x", a.address+1), "{A}", fmt.Sprintf("%X", a.address),
		"{a dec}", fmt.Sprint(a.address), "{a oct}", fmt.Sprintf("%o", a.address), "{a bin}", fmt.Sprintf("%b", a.address),
		"{a of 4095}", zeros(4095), "{a of 4096}", zeros(4096), "{a of 4097}", zeros(4097), "{a of 10000}", zeros(10000))
	names := strings.NewReplacer(
		fmt.Sprintf("%#x %s\n", a.address, a.name), "A NAME\n",
		fmt.Sprintf("%#x %s\n", b.address, b.name), "B NAME\n",
		fmt.Sprintf("%#x %s\n", a.address+1, a.name), "INSIDE A NAME\n")
	return values.Replace, names.Replace
}
