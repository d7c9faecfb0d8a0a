// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"extproc/tests/internal/rig"
)

const sigterm = syscall.SIGTERM

// load is a number of clients that send one request after another until they are stopped.
type load struct {
	clients sync.WaitGroup
	stopped chan struct{}

	mutex   sync.Mutex
	replies []timedReply
}

type timedReply struct {
	rig.Reply
	start, end time.Time
}

func startLoad(stack *rig.Stack, clients int) *load {
	l := &load{stopped: make(chan struct{})}
	for range clients {
		l.clients.Go(func() {
			for {
				select {
				case <-l.stopped:
					return
				default:
				}
				l.send(stack)
			}
		})
	}
	return l
}

func (l *load) send(stack *rig.Stack) {
	start := time.Now()
	reply := stack.Try(stack.Request("POST", "/v1/chat/completions", rig.Chat("model-a")))
	l.mutex.Lock()
	l.replies = append(l.replies, timedReply{reply, start, time.Now()})
	l.mutex.Unlock()
}

func (l *load) count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.replies)
}

// waitMore waits until count further requests have ended.
func (l *load) waitMore(t *testing.T, count int) {
	t.Helper()
	goal := l.count() + count
	rig.Eventually(t, func() string {
		if l.count() < goal {
			return "the clients go on with their requests"
		}
		return ""
	})
}

func (l *load) stop() {
	close(l.stopped)
	l.clients.Wait()
}

// failed returns what was not answered with 200. Call it after stop.
func (l *load) failed() []timedReply {
	return slices.DeleteFunc(slices.Clone(l.replies), func(reply timedReply) bool {
		return reply.Err == nil && reply.Status == 200
	})
}

// What Envoy says of a request that failed because no processor was there.
const (
	refused = "reset_reason:_remote_connection_failure"
	broken  = "connection_termination" // before or in the middle of an answer
)

// explain counts the failed requests by reason. It fails the test if one has another reason than those
// given, or was under way at no time between from and to.
func explain(t *testing.T, stack *rig.Stack, l *load, from, to time.Time, reasons ...string) {
	t.Helper()
	counts := map[string]int{}
	failed, unexplained := l.failed(), 0
	for _, reply := range failed {
		details := stack.Envoy.Access(reply.ID)["details"]
		isExplained := reply.Status == 500 && strings.HasPrefix(details, "ext_proc_error_gRPC_error_") &&
			slices.ContainsFunc(reasons, func(reason string) bool { return strings.Contains(details, reason) })
		if !isExplained {
			details = fmt.Sprintf("UNEXPLAINED: status %d, error %v, %s", reply.Status, reply.Err, details)
		} else if reply.end.Before(from) {
			details = "TOO EARLY, while the processor still had to take requests: " + details
		} else if reply.start.After(to) {
			details = "TOO LATE, the processor was back: " + details
		}
		counts[details]++
		if !strings.HasPrefix(details, "ext_proc_error") {
			unexplained++
		}
	}
	t.Logf("%d of %d requests failed, around an outage of %v", len(failed), l.count(), to.Sub(from))
	for details, count := range counts {
		t.Logf("  %d times: %s", count, details)
	}
	if unexplained > 0 {
		t.Errorf("%d requests failed that should not have", unexplained)
	}
}

func TestKillUnderLoadAndRestart(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{})
	load := startLoad(stack, 4)
	load.waitMore(t, 50)
	from := time.Now()
	stack.Extproc.Kill()
	load.waitMore(t, 20)
	rig.StartExtproc(t, "EXTPROC_LISTEN="+stack.Extproc.GRPC)
	to := time.Now()
	if reply := stack.Post("/v1/chat/completions", rig.Chat("model-b")); reply.Status != 200 {
		t.Errorf("the first request after the restart: status %d, %s", reply.Status, stack.Envoy.Access(reply.ID)["details"])
	}
	load.waitMore(t, 50)
	load.stop()
	if failed := len(load.failed()); failed < 10 {
		t.Errorf("only %d requests failed: the outage was none", failed)
	}
	explain(t, stack, load, from, to, refused, broken)
}

// With a drain delay nobody notices until it is over; then the requests fail that come while nobody
// listens, and no other: not one that was in flight, however long it takes.
func TestTerminateUnderLoadAndRestart(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_DRAIN_DELAY=1s"}})
	const gate = "in-flight"
	request := stack.Request("POST", "/v1/chat/completions", rig.StreamingChat("model-b"), "x-backend-hold", gate)
	inFlight, err := stack.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer inFlight.Body.Close()
	reader := bufio.NewReader(inFlight.Body)
	readEvent(t, reader)

	load := startLoad(stack, 4)
	load.waitMore(t, 50)
	signalled := time.Now()
	stack.Extproc.Signal(sigterm)
	load.waitMore(t, 50)
	// The listener closes at the end of the delay, while the stream in flight keeps the process alive.
	rig.Eventually(t, func() string {
		if len(rig.Listening(t, stack.Extproc.Pid(), stack.Extproc.GRPC)) != 0 {
			return "the draining processor stops listening"
		}
		return ""
	})
	load.waitMore(t, 8)
	if stack.Extproc.HasEnded() {
		t.Fatal("the processor ended with a stream in flight")
	}
	stack.B.Release(gate)
	rest, err := io.ReadAll(reader)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream in flight was cut: %v after %q", err, rest)
	}
	if total := stack.Envoy.Access(request.Header.Get("x-test-id"))["total"]; total != "18" {
		t.Errorf("the stream in flight has total=%s in the access log", total)
	}
	if code := stack.Extproc.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	rig.StartExtproc(t, "EXTPROC_LISTEN="+stack.Extproc.GRPC)
	to := time.Now()
	if reply := stack.Post("/v1/chat/completions", rig.Chat("model-b")); reply.Status != 200 {
		t.Errorf("the first request after the restart: status %d", reply.Status)
	}
	load.waitMore(t, 50)
	load.stop()
	explain(t, stack, load, signalled.Add(time.Second), to, refused)
}

// The delay is there so that whoever asks /health stops sending before we stop taking.
func TestHealthFailsWhileRequestsStillWork(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_DRAIN_DELAY=1m"}})
	if status, body := stack.Extproc.Get("/health"); status != http.StatusOK {
		t.Fatalf("/health is %d before the drain: %s", status, body)
	}
	stack.Extproc.Signal(sigterm)
	rig.Eventually(t, func() string {
		if status, _ := stack.Extproc.Get("/health"); status == http.StatusOK {
			return "/health fails"
		}
		return ""
	})
	for range 50 {
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			t.Fatalf("status %d during the drain delay", reply.Status)
		}
	}
	if status, _ := stack.Extproc.Get("/metrics"); status != http.StatusOK {
		t.Errorf("/metrics is %d during the drain delay", status)
	}
	// A second signal does not wait for the minute.
	stack.Extproc.Signal(sigterm)
	stack.Extproc.ExitCode()
}

// A stream that never ends does not hold up the end for ever.
func TestDrainDeadlineCutsWhatIsLeft(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_DRAIN_DEADLINE=200ms"}})
	const gate = "never"
	request := stack.Request("POST", "/v1/chat/completions", rig.StreamingChat("model-a"), "x-backend-hold", gate)
	response, err := stack.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	readEvent(t, reader)
	stack.Extproc.Signal(sigterm)
	if code := stack.Extproc.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := io.ReadAll(reader); err == nil {
		t.Error("the client was not told that its stream was cut")
	}
	stack.A.Release(gate)
}
