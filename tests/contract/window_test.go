// SPDX-License-Identifier: Apache-2.0

// How long a CPU profile's window is and what ends it. Time is measured but roughly: a window of one second is known
// by its answer coming although nobody ended it, a window of thirty by the profile being longer than a second when
// the client ended it.

package contract

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"extproc/tests/internal/rig"
)

const aSecond, thirtySeconds = time.Second, 30 * time.Second

type windowRow struct {
	name    string
	window  time.Duration
	request string
}

func profileOf(query string) string { return get("/debug/pprof/profile" + query) }

func profileForm(method, query, contentType, body string) string {
	return withBody(method, "/debug/pprof/profile"+query, contentType, body)
}

var windowRows = []windowRow{
	{"one", aSecond, profileOf("?seconds=1")},
	{"absent", thirtySeconds, profileOf("")},
	{"no value", thirtySeconds, profileOf("?seconds")},
	{"empty", thirtySeconds, profileOf("?seconds=")},
	{"zero", thirtySeconds, profileOf("?seconds=0")},
	{"negative", thirtySeconds, profileOf("?seconds=-1")},
	{"fraction", thirtySeconds, profileOf("?seconds=1.5")},
	{"exponent", thirtySeconds, profileOf("?seconds=1e0")},
	{"hex", thirtySeconds, profileOf("?seconds=0x1")},
	{"underscore", thirtySeconds, profileOf("?seconds=0_1")},
	{"word", thirtySeconds, profileOf("?seconds=x")},
	{"unit", thirtySeconds, profileOf("?seconds=1s")},
	{"space before", thirtySeconds, profileOf("?seconds=%201")},
	{"space after", thirtySeconds, profileOf("?seconds=1+")},
	{"beyond int64", thirtySeconds, profileOf("?seconds=99999999999999999999")},
	{"plus is a space", thirtySeconds, profileOf("?seconds=+1")},
	{"plus sign", aSecond, profileOf("?seconds=%2B1")},
	{"leading zeros", aSecond, profileOf("?seconds=0001")},
	{"escaped value", aSecond, profileOf("?seconds=%31")},
	{"escaped key", aSecond, profileOf("?%73econds=1")},
	{"key is case-sensitive", thirtySeconds, profileOf("?Seconds=1")},
	{"first of two", aSecond, profileOf("?seconds=1&seconds=30")},
	{"first of two is bad", thirtySeconds, profileOf("?seconds=x&seconds=1")},
	{"first of two is empty", thirtySeconds, profileOf("?seconds=&seconds=1")},
	{"pair with semicolon is dropped", aSecond, profileOf("?seconds=30;x&seconds=1")},
	{"semicolon separates nothing", thirtySeconds, profileOf("?x=1;seconds=1")},
	{"bad escape drops its pair", aSecond, profileOf("?seconds=%zz&seconds=1")},
	{"bad escape in another pair", aSecond, profileOf("?x=%zz&seconds=1&%=%")},
	{"empty pairs", aSecond, profileOf("?&&=&seconds=1")},
	{"second equals sign", thirtySeconds, profileOf("?seconds=1=1")},
	{"NUL", thirtySeconds, profileOf("?seconds=1%00")},
	{"other parameters", aSecond, profileOf("?debug=1&gc=1&seconds=1")},
	{"escaped path", aSecond, get("/debug/pprof/pr%6ffile?seconds=1")},
	{"HEAD", aSecond, request("HEAD", "/debug/pprof/profile?seconds=1")},
	{"HTTP/1.0", aSecond, "GET /debug/pprof/profile?seconds=1 HTTP/1.0\r\n\r\n"},
	{"form", aSecond, profileForm("POST", "", form, "seconds=1")},
	{"form before query", aSecond, profileForm("POST", "?seconds=30", form, "seconds=1")},
	{"bad form before query", thirtySeconds, profileForm("POST", "?seconds=1", form, "seconds=x")},
	{"form without the key", aSecond, profileForm("POST", "?seconds=1", form, "debug=1")},
	{"form with a bad pair", aSecond, profileForm("POST", "?seconds=30", form, "seconds=30;&seconds=1")},
	{"form in chunks", aSecond, request("POST", "/debug/pprof/profile", "Content-Type: "+form,
		"Transfer-Encoding: chunked") + chunked("sec", "onds=", "1")},
	{"form by PUT", aSecond, profileForm("PUT", "?seconds=30", form, "seconds=1")},
	{"form by PATCH", aSecond, profileForm("PATCH", "?seconds=30", form, "seconds=1")},
	{"form by DELETE does not count", aSecond, profileForm("DELETE", "?seconds=1", form, "seconds=30")},
	{"form by GET does not count", aSecond, profileForm("GET", "?seconds=1", form, "seconds=30")},
	{"form of another type does not count", aSecond, profileForm("POST", "?seconds=1", "text/plain", "seconds=30")},
	{"form without a type does not count", aSecond, profileForm("POST", "?seconds=1", "", "seconds=30")},
	{"form with a charset", aSecond, profileForm("POST", "?seconds=30", form+"; charset=utf-8", "seconds=1")},
	{"form type in capitals", aSecond, profileForm("POST", "?seconds=30", strings.ToUpper(form), "seconds=1")},
	{"form with a bad parameter of its type", aSecond, profileForm("POST", "?seconds=30", form+"; =", "seconds=1")},
	{"multipart", aSecond, profileForm("POST", "", "multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"seconds\"\r\n\r\n1\r\n--b--\r\n")},
}

// Rows in which ours departs from Go's FormValue: the window that it takes, and the reason.
var windowDifferences = map[string]struct {
	window time.Duration
	reason string
}{
	"multipart": {thirtySeconds, "Go reads multipart/form-data too; no client of these endpoints sends it"},
}

// All rows at once, each with programs of its own, since Go has one window in a process.
func TestSecondsOfProfile(t *testing.T) {
	t.Parallel()
	var started sync.WaitGroup
	results, wanted := make([][2]string, len(windowRows)), make([][2]time.Duration, len(windowRows))
	for i, r := range windowRows {
		wanted[i] = [2]time.Duration{r.window, r.window}
		if known, found := windowDifferences[r.name]; found {
			wanted[i][0] = known.window
		}
		for side, p := range pair(both(t)) {
			started.Go(func() { results[i][side] = windowOf(p, r.request, wanted[i][side]) })
		}
	}
	started.Wait()
	for i, r := range windowRows {
		t.Run(r.name, func(t *testing.T) {
			for side, name := range []string{"ours", "go"} {
				if got := results[i][side]; got != wanted[i][side].String() {
					t.Errorf("%s: %s, want %v\nsent: %q", name, got, wanted[i][side], r.request)
				}
			}
		})
	}
}

// beyondOne is when a window of one second is over for certain. An emulator takes a while to begin it.
var beyondOne = map[bool]time.Duration{false: 2200 * time.Millisecond, true: 20 * time.Second}[os.Getenv("EMULATOR") != ""]

// windowOf asks, and tells what window the program took: "1s", "30s" or what went wrong.
func windowOf(p *program, request string, want time.Duration) string {
	c, err := connect(p.pprofAddress)
	if err != nil {
		return err.Error()
	}
	defer c.conn.Close()
	c.send(request)
	if want == thirtySeconds {
		time.Sleep(beyondOne)
		c.halfClose()
	}
	a, err := readAnswer(c.reader, methodOf(request))
	if err != nil || a.status != 200 {
		return fmt.Sprint(err, a)
	}
	if got := a.value("Content-Disposition"); got != `attachment; filename="profile"` {
		return "Content-Disposition: " + got
	}
	if methodOf(request) == "HEAD" {
		return aSecond.String()
	}
	parsed, err := profile.ParseData(a.body)
	if err != nil {
		return err.Error()
	}
	switch length := time.Duration(parsed.DurationNanos); {
	case want == aSecond && length > 900*time.Millisecond && length < 25*time.Second:
		return aSecond.String()
	case want == thirtySeconds && length > 1100*time.Millisecond && length < 25*time.Second:
		return thirtySeconds.String()
	default:
		return "a window of " + length.String()
	}
}

// Without `seconds` it is thirty.
func TestThirtySecondsByDefault(t *testing.T) {
	if testing.Short() {
		t.Skip("takes thirty seconds")
	}
	t.Parallel()
	for _, p := range pair(both(t)) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			parsed := parse(t, ask(t, p.pprofAddress, profileOf("")))
			if length := time.Duration(parsed.DurationNanos); length < 29*time.Second || length >= 45*time.Second {
				t.Errorf("window of %v", length)
			}
		})
	}
}

func parse(t testing.TB, a *answer) *profile.Profile {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("no profile: %v", a)
	}
	parsed, err := profile.ParseData(a.body)
	if err != nil {
		t.Fatalf("%v\n%v", err, a)
	}
	return parsed
}

// A half-closed connection ends the window at once, and the answer is what there is until then.
func TestHalfCloseEndsTheWindow(t *testing.T) {
	t.Parallel()
	ours, golang := both(t)
	text := profileOf("?seconds=300")
	a := dial(t, ours.pprofAddress).send(text).halfClose().read("GET")
	b := dial(t, golang.pprofAddress).send(text).halfClose().read("GET")
	judge(t, "half-closed", withoutBody(compareAnswers(a, b, same, same)), nil, nil, text)
	parse(t, a)
	parse(t, b)
}

// Nothing is sent before the window is over, not even a header.
func TestNothingIsSentDuringTheWindow(t *testing.T) {
	t.Parallel()
	for _, p := range pair(both(t)) {
		c := dial(t, p.pprofAddress).send(profileOf("?seconds=300"))
		c.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		if n, err := c.reader.Read(make([]byte, 1)); n != 0 || err == io.EOF {
			t.Errorf("%s: %d bytes, %v", p.name, n, err)
		}
	}
}

// busy opens windows until one is refused. Gives the connections that wait, what they will be answered, and the
// refusal.
func busy(t *testing.T, p *program, windows int) (waiting []*talk, later <-chan *answer, refused *answer) {
	t.Helper()
	type result struct {
		from   *talk
		answer *answer
	}
	results, answers := make(chan result, 1), make(chan *answer, windows)
	var asked []*talk
	var once sync.Once
	for range windows + 1 {
		c := dial(t, p.pprofAddress)
		asked = append(asked, c)
		go func() {
			a, _ := readAnswer(c.send(profileOf("?seconds=300")).reader, "GET")
			isFirst := false
			once.Do(func() { isFirst = true })
			if isFirst {
				results <- result{c, a}
			} else {
				answers <- a
			}
		}()
	}
	select {
	case first := <-results:
		waiting = slices.DeleteFunc(asked, func(c *talk) bool { return c == first.from })
		return waiting, answers, first.answer
	case <-time.After(hangs):
		t.Fatalf("%s: %d windows at once and none refused", p.name, windows+1)
		return nil, nil, nil
	}
}

// One client more than there are windows is told at once, in Go's words; the others are served.
func TestOneClientTooMany(t *testing.T) {
	t.Parallel()
	golang := startGo(t)
	_, _, want := busy(t, golang, 1)
	if want.status != 500 {
		t.Fatalf("go: %v", want)
	}
	for name, c := range map[string]struct {
		windows int
		options []option
	}{
		"PPROF_CPU_WINDOWS=1": {1, []option{environment("PPROF_CPU_WINDOWS=1")}},
		"PPROF_CPU_WINDOWS=2": {2, []option{environment("PPROF_CPU_WINDOWS=2")}},
		"default":             {4, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ours := startOurs(t, c.options...)
			waiting, later, got := busy(t, ours, c.windows)
			judge(t, name, compareAnswers(got, want, same, same), nil, nil, "one profile too many")
			for _, text := range []string{profileOf("?seconds=1"), request("HEAD", "/debug/pprof/profile?seconds=1"),
				profileOf("?seconds=x")} {
				if a := ask(t, ours.pprofAddress, text); a.line != want.line {
					t.Errorf("%q: %v", text, a)
				}
			}
			for _, c := range waiting {
				c.halfClose()
			}
			for range waiting {
				parse(t, <-later)
			}
		})
	}
}

// A client that leaves frees its window, whichever way it leaves: otherwise the next would be refused for 1000 s.
func TestClientGoneFreesTheProfiler(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(c *talk){
		"close": func(c *talk) { c.conn.Close() },
		"reset": func(c *talk) { c.conn.SetLinger(0); c.conn.Close() },
		"half":  func(c *talk) { c.halfClose() },
	} {
		for _, p := range pair(both(t, environment("PPROF_CPU_WINDOWS=1"))) {
			t.Run(name+" "+p.name, func(t *testing.T) {
				t.Parallel()
				waiting, _, _ := busy(t, p, 1)
				leave(waiting[0])
				a := ask(t, p.pprofAddress, profileOf("?seconds=1"))
				for deadline := time.Now().Add(hangs); a.status == 500 && time.Now().Before(deadline); {
					time.Sleep(5 * time.Millisecond)
					a = ask(t, p.pprofAddress, profileOf("?seconds=1"))
				}
				parse(t, a)
			})
		}
	}
}

// Several windows over one stream of ticks: all see the program, and one that goes on longer sees more. They end
// when the program has used so much CPU, so that there is something to see, however busy the machine is.
func TestWindowsOverlap(t *testing.T) {
	t.Parallel()
	ours := startOurs(t)
	load(t, ours)
	var windows []*talk
	for range 4 {
		windows = append(windows, dial(t, ours.pprofAddress).send(profileOf("?seconds=300")))
	}
	var ticks []int64
	for _, c := range windows {
		ours.useCPU(t, 200*time.Millisecond)
		sum := int64(0)
		for _, s := range parse(t, c.halfClose().read("GET")).Sample {
			sum += s.Value[0]
		}
		ticks = append(ticks, sum)
	}
	for i := range ticks {
		if ticks[i] == 0 || i > 0 && ticks[i] <= ticks[i-1] {
			t.Errorf("ticks in windows that end one after the other: %d", ticks)
			break
		}
	}
}

// While one client waits for its profile, 50 others are answered.
func TestOthersAreAnsweredDuringAProfile(t *testing.T) {
	rig.SkipEmulated(t, "may take longer for the profile than a connection may be idle")
	t.Parallel()
	for _, p := range pair(both(t)) {
		c := dial(t, p.pprofAddress).send(profileOf("?seconds=300"))
		targets := []string{"", "cmdline", "symbol", "nosuch", "symbol?0x1"}
		var others []*talk
		for i := range 50 {
			others = append(others, dial(t, p.pprofAddress).send(get("/debug/pprof/"+targets[i%len(targets)])))
		}
		for i, other := range others {
			a := other.read("GET")
			if want := map[bool]int{true: 404, false: 200}[targets[i%len(targets)] == "nosuch"]; a.status != want {
				t.Errorf("%s: %q: %v", p.name, targets[i%len(targets)], a)
			}
		}
		if a := c.halfClose().read("GET"); a.status != 200 {
			t.Errorf("%s: %v", p.name, a)
		}
	}
}

// A profile is an answer as others are: the connection goes on, and what was asked meanwhile is answered after it.
func TestConnectionGoesOnAfterAProfile(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD"} {
		for _, p := range pair(both(t)) {
			t.Run(method+" "+p.name, func(t *testing.T) {
				t.Parallel()
				c := dial(t, p.pprofAddress)
				c.send(request(method, "/debug/pprof/profile?seconds=1") + get("/debug/pprof/cmdline"))
				if a := c.read(method); a.status != 200 || a.value("Content-Type") != "application/octet-stream" {
					t.Errorf("profile: %v", a)
				}
				if a := c.read("GET"); string(a.body) != p.cmdline() {
					t.Errorf("cmdline after it: %v", a)
				}
			})
		}
	}
}
