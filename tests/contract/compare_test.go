// SPDX-License-Identifier: Apache-2.0

// How two answers are compared, and how a difference that is meant is written down.

package contract

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// difference is one way in which ours departs from Go on purpose. A row that no longer differs fails its test, so
// that these tables stay true.
type difference struct {
	rows   string // regular expression over row names
	field  string // what differs: "status", "framing", "body", "connection", "header Date"
	ours   string // regular expression that our value must match
	reason string
}

// libraryDifferences are libmicrohttpd's and show in all tables.
var libraryDifferences = []difference{
	{".*HTTP/1.0.*", "header Connection", "close|Keep-Alive",
		"says what HTTP/1.0 does anyway; options are case-insensitive"},
}

type mismatch struct{ field, ours, golang string }

// judge reports mismatches of one row, but for the known differences; `met` counts how often each of those was seen
// (nil: nobody asks).
func judge(t *testing.T, row string, found []mismatch, known []difference, met []int, sent string) {
	t.Helper()
	for _, m := range found {
		at := slices.IndexFunc(known, func(d difference) bool {
			return d.field == m.field && matches(d.rows, row) && matches(d.ours, m.ours)
		})
		switch {
		case at < 0:
			t.Errorf("%s: %s\n  ours: %s\n  go:   %s\n  sent: %.400q", row, m.field, m.ours, m.golang, sent)
		case met != nil:
			met[at]++
		}
	}
}

func matches(pattern, text string) bool {
	return regexp.MustCompile(`^(?s:` + pattern + `)$`).MatchString(text)
}

// differencesAreMet fails for known differences that no row showed. Only for runs of the whole table.
func differencesAreMet(t *testing.T, known []difference, met []int) {
	t.Helper()
	for i, d := range known {
		if met[i] == 0 {
			t.Errorf("no longer different from Go, delete it from the table: %s, %s (%s)", d.rows, d.field, d.reason)
		}
	}
}

// compare sends the same bytes to both programs, and tells how the answers differ and what happens to the connections.
func compare(t *testing.T, ours, golang *program, sent string) (found []mismatch, oursAnswer *answer) {
	t.Helper()
	method := methodOf(strings.TrimLeft(sent, " \r\n"))
	oursTalk, goTalk := dial(t, ours.pprofAddress).send(sent), dial(t, golang.pprofAddress).send(sent)
	a, b := oursTalk.read(method), goTalk.read(method)
	found = compareAnswers(a, b, ours.normal, golang.normal)
	if a, b := persistence(oursTalk), persistence(goTalk); a != b {
		found = append(found, mismatch{"connection", a, b})
	}
	return found, a
}

func persistence(c *talk) string {
	if c.closed() {
		return "closed"
	}
	return "open"
}

// compareAnswers compares everything but the order of headers. `normal` makes bodies and lengths of the two programs
// comparable.
func compareAnswers(ours, golang *answer, normalOurs, normalGo func(string) string) (found []mismatch) {
	add := func(field, a, b string) {
		if a != b {
			found = append(found, mismatch{field, a, b})
		}
	}
	add("interim", fmt.Sprint(ours.interim), fmt.Sprint(golang.interim))
	add("status", ours.line, golang.line)
	for _, name := range headerNames(ours, golang) {
		a, b := ours.value(name), golang.value(name)
		switch name {
		case "Date":
			a, b = checkedDate(a), checkedDate(b)
		case "Content-Length":
			a, b = checkedLength(ours, normalOurs), checkedLength(golang, normalGo)
		}
		add("header "+name, a, b)
	}
	add("framing", ours.framing, golang.framing)
	add("body", fmt.Sprintf("%.400q", normalOurs(string(ours.body))), fmt.Sprintf("%.400q", normalGo(string(golang.body))))
	return found
}

// withoutFraming is for bodies that differ in length, withoutBody for those that differ in all.
func withoutFraming(found []mismatch) []mismatch {
	return slices.DeleteFunc(found, func(m mismatch) bool {
		return slices.Contains([]string{"framing", "header Transfer-Encoding", "header Content-Length"}, m.field)
	})
}

func withoutBody(found []mismatch) []mismatch {
	return slices.DeleteFunc(withoutFraming(found), func(m mismatch) bool { return m.field == "body" })
}

func headerNames(answers ...*answer) (names []string) {
	for _, a := range answers {
		for _, h := range a.headers {
			if name := http.CanonicalHeaderKey(h.name); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// checkedDate turns a good Date into one word, so that two good ones are equal.
func checkedDate(value string) string {
	date, err := time.Parse(http.TimeFormat, value)
	if err == nil && time.Since(date).Abs() < 5*time.Minute {
		return "now"
	}
	return value
}

func checkedLength(a *answer, normal func(string) string) string {
	value := a.value("Content-Length")
	if len(a.body) > 0 && value == strconv.Itoa(len(a.body)) {
		return "length of the body"
	}
	return normal(value)
}

func same(text string) string { return text }

// checkFraming: a length if the body has at most 2048 bytes, else chunks, or for HTTP/1.0 the end of the connection.
func checkFraming(t *testing.T, a *answer) {
	t.Helper()
	want := "content-length"
	if len(a.body) > 2048 {
		want = "chunked"
		if strings.HasPrefix(a.line, "HTTP/1.0") {
			want = "close"
		}
	}
	if a.framing != want {
		t.Errorf("framing %s, want %s for %d bytes:\n%v", a.framing, want, len(a.body), a)
	}
}
