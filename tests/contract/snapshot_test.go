// SPDX-License-Identifier: Apache-2.0

// Parameters of the profiles that are snapshots or differences of two: allocs, block, goroutine, heap, mutex,
// threadcreate. Bodies are not compared here, only whether they are what the headers say.

package contract

import (
	"bytes"
	"sync"
	"testing"
)

type snapshotRow struct {
	name    string
	request func(path string) string
}

func query(text string) func(path string) string {
	return func(path string) string { return get(path + text) }
}

var snapshotRows = []snapshotRow{
	{"plain", query("")},
	{"HEAD", func(path string) string { return request("HEAD", path+"?debug=1") }},
	{"PUT", func(path string) string { return request("PUT", path) }},
	{"debug empty", query("?debug=")},
	{"debug 0", query("?debug=0")},
	{"debug 1", query("?debug=1")},
	{"debug 2", query("?debug=2")},
	{"debug word", query("?debug=x")},
	{"debug 1x", query("?debug=1x")},
	{"debug +1", query("?debug=%2B1")},
	{"debug escaped", query("?%64ebug=%31")},
	{"debug beyond int64", query("?debug=99999999999999999999")},
	{"debug twice", query("?debug=0&debug=1")},
	{"debug with semicolon", query("?debug=1;x")},
	{"debug with a bad escape", query("?debug=%zz&debug=1")},
	{"Debug", query("?Debug=1")},
	{"debug in a form", func(path string) string { return withBody("POST", path+"?debug=0", form, "debug=1") }},
	{"gc 1", query("?gc=1")},
	{"gc word", query("?gc=x")},
	{"gc negative", query("?gc=-1")},
	{"gc and debug", query("?gc=1&debug=1")},
	{"seconds empty", query("?seconds=")},
	{"seconds without value", query("?seconds")},
	{"seconds empty and debug", query("?seconds=&debug=1")},
	{"seconds 0", query("?seconds=0")},
	{"seconds negative", query("?seconds=-1")},
	{"seconds word", query("?seconds=x")},
	{"seconds fraction", query("?seconds=1.5")},
	{"seconds exponent", query("?seconds=1e0")},
	{"seconds hex", query("?seconds=0x1")},
	{"seconds with a space", query("?seconds=%201")},
	{"seconds beyond int64", query("?seconds=99999999999999999999")},
	{"seconds bad and debug", query("?seconds=x&debug=1")},
	{"seconds and debug", query("?seconds=1&debug=1")},
	{"seconds and debug negative", query("?seconds=1&debug=-1")},
	{"seconds and debug 0", query("?seconds=1&debug=0")},
	{"seconds 1", query("?seconds=1")},
	{"seconds +1", query("?seconds=%2B1")},
	{"seconds and gc", query("?seconds=1&gc=1")},
	{"seconds in a form", func(path string) string { return withBody("POST", path+"?seconds=x", form, "seconds=1") }},
	{"name with an escape", func(path string) string { return get(path[:len(path)-1] + "%" + hexOf(path[len(path)-1])) }},
}

func hexOf(c byte) string { return string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]) }

func TestSnapshotParametersAreGos(t *testing.T) {
	t.Parallel()
	ours, golang := both(t)
	for _, name := range snapshotNames {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			answers := make([][2]*answer, len(snapshotRows))
			for i, r := range snapshotRows {
				for side, program := range pair(ours, golang) {
					c, text := dial(t, program.pprofAddress), r.request("/debug/pprof/"+name)
					all.Go(func() { answers[i][side], _ = readAnswer(c.send(text).reader, methodOf(text)) })
				}
			}
			all.Wait()
			for i, r := range snapshotRows {
				text := r.request("/debug/pprof/" + name)
				a, b := answers[i][0], answers[i][1]
				found := compareAnswers(a, b, same, same)
				if a.status == 200 {
					found = withoutBody(found)
				}
				judge(t, r.name, found, nil, nil, text)
				if methodOf(text) == "HEAD" || a.status == 0 {
					continue
				}
				checkFraming(t, a)
				isGzip := bytes.HasPrefix(a.body, []byte("\x1f\x8b\x08\x00"))
				if isGzip != (a.value("Content-Type") == "application/octet-stream") {
					t.Errorf("%s: is not what it says: %v", r.name, a)
				}
			}
		})
	}
}
