// SPDX-License-Identifier: Apache-2.0

// Package soak asks: does the processor survive what Envoy's clients do for days? Requests of all kinds, of
// which many are left at a random point, while it is scraped and profiled; under the sanitizers it has to be clean, and
// the product's memory must not grow.
package soak

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"

	"extproc/tests/internal/rig"
)

const (
	clients     = 16
	connections = 4
	process     = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
	watch       = "/grpc.health.v1.Health/Watch" // which never ends by itself
)

// requests is how many; `make test-soak` says it.
func requests(t *testing.T) int {
	text := os.Getenv("REQUESTS")
	if text == "" {
		return 6000
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// raw sends and receives messages as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) ([]byte, error) { return message.([]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

type soak struct {
	t       *testing.T
	extproc *rig.Extproc
	kinds   []kind
	left    atomic.Int64
	ended   [4]atomic.Int64 // by outcome
}

const (
	answered = iota
	abandoned
	refused
	disconnected
)

func (s *soak) dial() *grpc.ClientConn {
	connection, err := grpc.NewClient("passthrough:///"+s.extproc.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(8<<20)))
	if err != nil {
		s.t.Error(err)
	}
	return connection
}

// one plays a request: each message waits for its answers, and at a random point the client may leave.
func (s *soak) one(random *rand.Rand, connection *grpc.ClientConn) int {
	k := s.kinds[pick(random, s.kinds)]
	ctx, cancel := context.WithTimeout(context.Background(), rig.Deadline)
	defer cancel() // RST_STREAM, also behind a good end, as Envoy does
	leaveAt := len(k.messages) + 1
	if random.IntN(3) == 0 {
		leaveAt = random.IntN(len(k.messages) + 1)
	}
	var options []grpc.CallOption
	if k.isCompressed {
		options = append(options, grpc.UseCompressor(gzip.Name))
	}
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, k.method, options...)
	if err != nil {
		return refused
	}
	for i, message := range k.messages {
		if i == leaveAt {
			return abandoned
		}
		if stream.SendMsg(message.bytes) != nil {
			return refused
		}
		if i == leaveAt-1 && random.IntN(2) == 0 {
			return abandoned // with an answer under way
		}
		for range message.answers {
			var answer []byte
			if err := stream.RecvMsg(&answer); err != nil {
				return refused
			}
		}
	}
	if k.method != watch && random.IntN(4) == 0 { // Envoy does not, but any client may
		stream.CloseSend()
		var answer []byte
		stream.RecvMsg(&answer)
	}
	return answered
}

// run plays so many requests on a number of connections, of which one is cut now and then.
func (s *soak) run(count int) {
	s.left.Store(int64(count))
	var all sync.WaitGroup
	for i := range connections {
		var lock sync.Mutex
		shared := s.dial()
		all.Go(func() {
			var own sync.WaitGroup
			for j := range clients / connections {
				own.Go(func() {
					random := rand.New(rand.NewPCG(uint64(i), uint64(j)+s.seed()))
					for s.left.Add(-1) >= 0 {
						lock.Lock()
						if random.IntN(400) == 0 {
							shared.Close()
							shared = s.dial()
							s.ended[disconnected].Add(1)
						}
						connection := shared
						lock.Unlock()
						s.ended[s.one(random, connection)].Add(1)
					}
				})
			}
			own.Wait()
			shared.Close()
		})
	}
	all.Wait()
}

// seed is another for each part of the run.
func (s *soak) seed() uint64 {
	return uint64(s.ended[answered].Load())
}

// watch scrapes and profiles until it is told to stop.
func (s *soak) watch(stop chan struct{}) {
	pages := []string{
		s.extproc.Admin + "/metrics", s.extproc.Admin + "/health", s.extproc.Pprof + "/debug/pprof/streams?debug=2",
		s.extproc.Pprof + "/debug/pprof/heap", s.extproc.Pprof + "/debug/pprof/goroutine", s.extproc.Pprof + "/debug/pprof/profile?seconds=1",
	}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		response, err := http.Get("http://" + pages[i%len(pages)])
		if err != nil {
			s.t.Errorf("%s: %v", pages[i%len(pages)], err)
			return
		}
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 {
			s.t.Errorf("%s: status %d, %v: %.200s", pages[i%len(pages)], response.StatusCode, err, body)
		}
		response.Body.Close()
	}
}

// settle waits until nothing is in flight, and gives the resident memory in KiB.
func (s *soak) settle() int {
	rig.Eventually(s.t, func() string {
		for _, gauge := range []string{"extproc_streams_in_flight", "extproc_body_bytes"} {
			if left := s.extproc.Metric(gauge); left != 0 {
				return fmt.Sprintf("%s is 0, not %v", gauge, left)
			}
		}
		return ""
	})
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.extproc.Pid()))
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	resident, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return resident
}

func TestClientsThatLeaveAtAnyPoint(t *testing.T) {
	sanitizer := os.Getenv("SANITIZER") // the one that the program was built with
	s := &soak{t: t, kinds: kinds(t)}
	s.extproc = rig.StartExtproc(t, "EXTPROC_WORKERS=2", "EXTPROC_MODELS=one,two", "EXTPROC_TOTAL_BODY_LIMIT=4Mi",
		"ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1",
		"TSAN_OPTIONS=halt_on_error=1:suppressions="+filepath.Join(rig.Root(), "tests", "unit", "known-races"))
	const parts = 4
	count := requests(t)
	stop := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(stop) })
	var resident []int
	for range parts {
		s.run(count / parts)
		resident = append(resident, s.settle())
	}
	close(stop)
	watcher.Wait()
	t.Logf("%d requests: %d answered, %d left at some point, %d refused; %d connections cut; resident KiB after each part: %v",
		count, s.ended[answered].Load(), s.ended[abandoned].Load(), s.ended[refused].Load(), s.ended[disconnected].Load(), resident)
	if s.ended[answered].Load() == 0 || s.ended[abandoned].Load() == 0 || s.ended[refused].Load() == 0 {
		t.Error("not all kinds of ends were seen")
	}
	// Sanitizers keep what is freed. A short run is still warming up.
	if least := slices.Min(resident[1:]); sanitizer == "" && resident[parts-1] > least+least/10+2048 {
		t.Errorf("the memory grows: %v KiB", resident)
	}
	s.extproc.Signal(syscall.SIGTERM)
	if code := s.extproc.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, line := range s.extproc.Lines() {
		if strings.Contains(line, "Sanitizer") || strings.Contains(line, "runtime error") || rig.Fields(line)["level"] == "error" {
			t.Errorf("it says: %s", line)
		}
	}
}
