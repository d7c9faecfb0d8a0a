// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

// startRate sends requests at a fixed rate, whatever becomes of those before; at most so many. What a
// busy machine delays is sent when it can be; no more than 100 are under way, far from Envoy's limits.
func startRate(stack *rig.Stack, perSecond, most int) *load {
	l := &load{stopped: make(chan struct{})}
	l.clients.Go(func() {
		start, room := time.Now(), make(chan struct{}, 100)
		for i := range most {
			due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
			select {
			case <-l.stopped:
				return
			case <-time.After(time.Until(due)): // at once if it is late
			}
			room <- struct{}{}
			l.clients.Go(func() {
				l.send(stack)
				<-room
			})
		}
	})
	return l
}

// openEvents begins an event stream that the backend holds after its first event.
func openEvents(t *testing.T, stack *rig.Stack, gate string) (finish func()) {
	t.Helper()
	request := stack.Request("POST", "/v1/chat/completions", rig.StreamingChat("model-b"), "x-backend-hold", gate)
	response, err := stack.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	reader := bufio.NewReader(response.Body)
	readEvent(t, reader)
	return func() {
		t.Helper()
		rest, err := io.ReadAll(reader)
		if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Errorf("an event stream in flight was cut: %v after %q", err, rest)
		}
	}
}

func wantNoneFailed(t *testing.T, stack *rig.Stack, l *load, start time.Time) {
	t.Helper()
	l.stop()
	t.Logf("%d requests, %.0f a second", l.count(), float64(l.count())/time.Since(start).Seconds())
	failed := l.failed()
	for _, reply := range failed[:min(len(failed), 10)] {
		t.Errorf("status %d, %v, %s", reply.Status, reply.Err, stack.Envoy.Access(reply.ID)["details"])
	}
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed", len(failed), l.count())
	}
}

// restart ends a processor while event streams are in flight, and starts one at the same address.
func restart(t *testing.T, stack *rig.Stack, old *rig.Extproc, gate string) *rig.Extproc {
	t.Helper()
	var finish []func()
	for range 4 { // of two processors, each has some
		finish = append(finish, openEvents(t, stack, gate))
	}
	old.Signal(sigterm)
	old.WaitLine("that it closes", func(line string) bool { return rig.Fields(line)["msg"] == "drain: closing" })
	stack.B.Release(gate)
	for _, one := range finish {
		one()
	}
	if code := old.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	return rig.StartExtproc(t, "EXTPROC_LISTEN="+old.GRPC, "EXTPROC_DRAIN_DELAY=2s")
}

// Envoy has two processors and asks for their health, as docs/operations.md has it.
func TestRestartOfOneOfTwo(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{HasPeer: true, Settings: []string{"EXTPROC_DRAIN_DELAY=2s"}})
	waitHealthy := func() {
		t.Helper()
		rig.Eventually(t, func() string {
			if healthy := stack.Envoy.Stat("cluster.extproc.membership_healthy"); healthy != 2 {
				return fmt.Sprintf("Envoy knows 2 healthy processors, not %d", healthy)
			}
			return ""
		})
	}
	waitHealthy()
	start, load := time.Now(), startRate(stack, 500, 10000)
	load.waitMore(t, 300)
	restart(t, stack, stack.Extproc, "first")
	waitHealthy()
	load.waitMore(t, 300)
	restart(t, stack, stack.Peer, "second")
	waitHealthy()
	load.waitMore(t, 300)
	wantNoneFailed(t, stack, load, start)
}

// The new process takes the Unix socket's path while the old one serves and drains.
func TestRestartAtOneUnixSocket(t *testing.T) {
	folder, err := os.MkdirTemp("", "x") // a short one: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	listen := "EXTPROC_LISTEN=unix://" + filepath.Join(folder, "extproc.sock")
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{listen}})
	old := stack.Extproc
	start, load := time.Now(), startRate(stack, 500, 10000)
	for i := range 3 {
		load.waitMore(t, 200)
		gate := fmt.Sprint("gate-", i)
		finish := openEvents(t, stack, gate)
		next := rig.StartExtproc(t, listen)
		next.WaitLine("that it took over", func(line string) bool {
			return strings.HasPrefix(rig.Fields(line)["msg"], "taken over")
		})
		old.Signal(sigterm)
		old.WaitLine("that it closes", func(line string) bool { return rig.Fields(line)["msg"] == "drain: closing" })
		stack.B.Release(gate)
		finish()
		if code := old.ExitCode(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		old = next
	}
	load.waitMore(t, 200)
	wantNoneFailed(t, stack, load, start)
	if status, body := old.Get("/health"); status != http.StatusOK {
		t.Errorf("the last one's /health is %d: %s", status, body)
	}
}

// One that can't start leaves the Unix socket to the process that serves, whatever it fails for.
func TestStartThatFailsLeavesTheUnixSocket(t *testing.T) {
	folder, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := "unix://" + filepath.Join(folder, "extproc.sock")
	first := rig.StartExtproc(t, "EXTPROC_LISTEN="+path)
	for _, settings := range [][]string{
		{"EXTPROC_LISTEN=" + path, "EXTPROC_ADMIN_ADDRESS=" + first.Admin},
		{"EXTPROC_LISTEN=" + path + "," + first.Admin},
		{"EXTPROC_LISTEN=" + path, "PPROF_ADDRESS=nonsense"},
	} {
		second := rig.StartExtprocRaw(t, settings...)
		if code := second.ExitCode(); code == 0 {
			t.Fatalf("it starts with %q", settings)
		}
		if status, body := first.Get("/health"); status != http.StatusOK {
			t.Fatalf("after %q the first one's /health is %d: %s", settings, status, body)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(folder, "*")); len(files) != 1 {
		t.Errorf("left behind: %q", files)
	}
	first.Signal(sigterm)
	if code := first.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if files, _ := filepath.Glob(filepath.Join(folder, "*")); len(files) != 0 {
		t.Errorf("left behind: %q", files)
	}
}
