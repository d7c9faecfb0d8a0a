// SPDX-License-Identifier: Apache-2.0

// The index page, and which profiles there are.

package contract

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Go's profiles that ours has too, in the index's order. snapshotNames are those that are not CPU's.
var (
	snapshotNames = []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"}
	otherNames    = []string{"cmdline", "profile", "symbol"} // the index counts 0 of them
	profileNames  = slices.Sorted(slices.Values(slices.Concat(snapshotNames, otherNames)))
	onlyGos       = []string{"trace", "goroutineleak"} // the second since Go 1.27
	onlyOurs      = []string{"streams"}
)

// Ours is a page with a viewer in it, bound to its own files.
var indexDifferences = append([]difference{
	{".*", "header Content-Security-Policy", "default-src 'none'; .*", "keeps everything foreign and inline out of the page"},
	{".*", "header Referrer-Policy", "no-referrer", "nobody learns this address from a link"},
}, libraryDifferences...)

type indexRow struct{ count, href, name string }

var (
	indexRowPattern = regexp.MustCompile(`<tr><td>(\d+)</td><td><a href='([^']*)'>([^<]*)</a></td></tr>`)
	descriptionsOf  = regexp.MustCompile(`<li><div class=profile-name>([^<]*): </div> ([^<]*)</li>`)
	fullDumpLink    = `<a href="goroutine?debug=2">full goroutine stack dump</a>`
)

// readIndex checks what is fixed about the page.
func readIndex(t *testing.T, a *answer) (rows []indexRow) {
	t.Helper()
	page := string(a.body)
	for _, m := range indexRowPattern.FindAllStringSubmatch(page, -1) {
		rows = append(rows, indexRow{m[1], m[2], m[3]})
	}
	if len(rows) == 0 || strings.Count(page, "<a href='") != len(rows) {
		t.Fatalf("rows of another form:\n%s", page)
	}
	var described []string
	for _, m := range descriptionsOf.FindAllStringSubmatch(page, -1) {
		described = append(described, m[1])
		if len(m[2]) < 10 {
			t.Errorf("%s is not described: %q", m[1], m[2])
		}
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.name)
		if r.href != r.name+"?debug=1" {
			t.Errorf("%s links to %s", r.name, r.href)
		}
		if slices.Contains(otherNames, r.name) && r.count != "0" {
			t.Errorf("%s counts %s", r.name, r.count)
		}
	}
	if !slices.IsSorted(names) || !slices.Equal(names, described) {
		t.Errorf("listed %q, described %q; want both sorted and the same", names, described)
	}
	if strings.Contains(page, fullDumpLink) != slices.Contains(names, "goroutine") {
		t.Errorf("the dump of goroutines is linked: %v; rows: %q", strings.Contains(page, fullDumpLink), names)
	}
	return rows
}

func TestIndexListsWhatIsServed(t *testing.T) {
	ours, golang := both(t)
	names := func(p *program, left []string) (names []string) {
		for _, r := range readIndex(t, ask(t, p.pprofAddress, get("/debug/pprof/"))) {
			if !slices.Contains(left, r.name) {
				names = append(names, r.name)
			}
		}
		return names
	}
	if got := names(ours, onlyOurs); !slices.Equal(got, profileNames) {
		t.Errorf("ours lists %q, want %q", got, profileNames)
	}
	if got := names(golang, onlyGos); !slices.Equal(got, profileNames) {
		t.Errorf("Go lists %q, want %q", got, profileNames)
	}
}

func TestIndexAnswersAsGos(t *testing.T) {
	ours, golang := both(t)
	for name, text := range map[string]string{
		"plain":       get("/debug/pprof/"),
		"query":       get("/debug/pprof/?debug=1&seconds=x;%zz"),
		"empty query": get("/debug/pprof/?"),
		"HEAD":        request("HEAD", "/debug/pprof/"),
		"POST":        withBody("POST", "/debug/pprof/", form, "x=1"),
		"DELETE":      request("DELETE", "/debug/pprof/"),
		"HTTP/1.0":    "GET /debug/pprof/ HTTP/1.0\r\n\r\n",
		"asks gzip":   get("/debug/pprof/", "Accept-Encoding: gzip"),
		"closes":      get("/debug/pprof/", "Connection: close"),
	} {
		t.Run(name, func(t *testing.T) {
			found, a := compare(t, ours, golang, text)
			judge(t, name, withoutBody(found), indexDifferences, nil, text)
			if methodOf(text) != "HEAD" {
				readIndex(t, a)
				checkFraming(t, a)
			}
		})
	}
}

// Every link of the page leads somewhere, but for the one that would take 30 seconds: that is begun and left.
func TestIndexLinksAreAlive(t *testing.T) {
	for _, p := range pair(both(t)) {
		for _, r := range readIndex(t, ask(t, p.pprofAddress, get("/debug/pprof/"))) {
			c := dial(t, p.pprofAddress).send(get("/debug/pprof/" + r.href))
			if r.name == "profile" || r.name == "trace" {
				c.halfClose()
			}
			if a := c.read("GET"); a.status != 200 {
				t.Errorf("%s: %s: %v", p.name, r.href, a)
			}
		}
	}
}

// A C program has no execution trace: an error of the form that tools show, at once, and no invented file.
func TestTraceIsAnHonestError(t *testing.T) {
	ours, golang := both(t)
	unknown := ask(t, golang.pprofAddress, get("/debug/pprof/nosuch"))
	for _, target := range []string{"/debug/pprof/trace", "/debug/pprof/trace?seconds=1", "/debug/pprof/trace?debug=1"} {
		a := ask(t, ours.pprofAddress, get(target))
		if a.status < 400 || a.status == 404 && string(a.body) == string(unknown.body) ||
			!matches(`[^\n]*trace[^\n]*\n`, string(a.body)) {
			t.Errorf("%s: want an error of one line about traces: %v", target, a)
		}
		for _, name := range headerNames(a, unknown) {
			if name != "Date" && name != "Content-Length" && a.value(name) != unknown.value(name) {
				t.Errorf("%s: %s: %q, want %q", target, name, a.value(name), unknown.value(name))
			}
		}
		checkFraming(t, a)
	}
	a := ask(t, ours.pprofAddress, request("HEAD", "/debug/pprof/trace"))
	if a.status < 400 || a.value("X-Go-Pprof") != "1" {
		t.Errorf("HEAD: %v", a)
	}
}
