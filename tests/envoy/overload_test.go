// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"extproc/tests/internal/rig"
)

// peer speaks HTTP/2 by hand, to do what no library does: stop in the middle, and read nothing.
type peer struct {
	t          *testing.T
	connection net.Conn
	framer     *http2.Framer
	block      bytes.Buffer
	encoder    *hpack.Encoder
	streams    uint32
}

func newPeer(t *testing.T, address string, settings ...http2.Setting) *peer {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	p := &peer{t: t, connection: connection, framer: http2.NewFramer(connection, connection)}
	p.encoder = hpack.NewEncoder(&p.block)
	connection.Write([]byte(http2.ClientPreface))
	if err := p.framer.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return p
}

// open begins a call of Process.
func (p *peer) open() uint32 {
	p.t.Helper()
	p.block.Reset()
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", "peer"},
		{":path", "/envoy.service.ext_proc.v3.ExternalProcessor/Process"},
		{"te", "trailers"}, {"content-type", "application/grpc"},
	} {
		p.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	p.streams++
	id := 2*p.streams - 1
	if err := p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block.Bytes(), EndHeaders: true}); err != nil {
		p.t.Fatal(err)
	}
	return id
}

// envelope puts a length before a message, which need not be its own.
func envelope(length int, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(length)), message...)
}

func (p *peer) send(id uint32, data []byte) {
	p.t.Helper()
	for len(data) > 0 {
		piece := data[:min(len(data), 16384)]
		data = data[len(piece):]
		if err := p.framer.WriteData(id, false, piece); err != nil {
			p.t.Fatal(err)
		}
	}
}

func headersMessage() []byte {
	values := []*corev3.HeaderValue{
		{Key: ":method", RawValue: []byte("POST")}, {Key: ":path", RawValue: []byte("/v1/chat/completions")},
	}
	message, _ := proto.Marshal(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{
		RequestHeaders: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{Headers: values}},
	}})
	return message
}

// hold begins a message of some MiB and stops behind 900 KB, which the windows allow.
func (p *peer) hold() {
	id := p.open()
	first := headersMessage()
	p.send(id, envelope(len(first), first))
	p.send(id, envelope(3<<20, make([]byte, 900000)))
}

func large(size int) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"model":"model-a"}`, strings.Repeat("x", size))
}

func isOverloaded(reply rig.Reply) bool {
	var body struct {
		Error struct{ Code, Message string }
	}
	return reply.Status == 503 && json.Unmarshal(reply.Body, &body) == nil && body.Error.Code == "overloaded" && body.Error.Message != ""
}

// Peers that stop in the middle use up the memory for bodies: the newest body gets a clean 503, what fits
// in one frame goes on, all on the one worker that the stuck ones are on, too.
func TestBodyMemoryIsLimited(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_TOTAL_BODY_LIMIT=3Mi", "EXTPROC_WORKERS=1"}})
	stuck := newPeer(t, stack.Extproc.GRPC)
	stuck.readWindow()
	for range 2 {
		stuck.hold()
	}
	rig.Eventually(t, func() string {
		if held := stack.Extproc.Metric("extproc_body_bytes"); held < 2<<20 {
			return fmt.Sprintf("2 MiB are held, not %v", held)
		}
		return ""
	})
	if limit := stack.Extproc.Metric("extproc_body_bytes_limit"); limit != 3<<20 {
		t.Errorf("the limit is %v", limit)
	}
	for range 20 {
		if reply := stack.Post("/v1/chat/completions", large(2<<20)); !isOverloaded(reply) {
			t.Fatalf("a large body: status %d, %.200s (%s)", reply.Status, reply.Body, stack.Envoy.Access(reply.ID)["details"])
		}
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			t.Fatalf("a small body: status %d, %s", reply.Status, reply.Body)
		}
	}
	if status, body := stack.Extproc.Get("/health"); status != 200 {
		t.Errorf("/health is %d: %s", status, body)
	}
	stuck.connection.Close()
	rig.Eventually(t, func() string {
		if reply := stack.Post("/v1/chat/completions", large(2<<20)); reply.Status != 200 {
			return fmt.Sprintf("there is room again, not %d", reply.Status)
		}
		return ""
	})
	if held := stack.Extproc.Metric("extproc_body_bytes"); held != 0 {
		t.Errorf("%v bytes are held at the end", held)
	}
}

// Peers that hold the memory for bodies take nothing from others: replies, event streams and requests
// that only pass arrive whole, however Envoy hands them over.
func TestOverloadTakesNothingFromWhatPasses(t *testing.T) {
	for name, options := range topologies {
		t.Run(name, func(t *testing.T) {
			// What the stuck ones leave is enough for a small request.
			options.Settings = []string{"EXTPROC_TOTAL_BODY_LIMIT=2098000", "EXTPROC_WORKERS=1"}
			stack := rig.StartStack(t, options)
			stuck := newPeer(t, stack.Extproc.GRPC)
			stuck.readWindow()
			stuck.hold()
			stuck.hold()
			rig.Eventually(t, func() string {
				if held := stack.Extproc.Metric("extproc_body_bytes"); held < 2<<20 {
					return fmt.Sprintf("%v bytes are held", held)
				}
				return ""
			})
			reply := stack.Post("/v1/chat/completions", rig.Chat("model-a"), "x-backend-pad", "900000")
			if reply.Status != 200 || !json.Valid(reply.Body) || len(reply.Body) < 900000 {
				t.Errorf("a reply: status %d, %d bytes of more than 900000", reply.Status, len(reply.Body))
			}
			events := stack.Post("/v1/chat/completions", rig.StreamingChat("model-a"), "x-backend-chunks", "500", "x-backend-pad", "500")
			if count := bytes.Count(events.Body, []byte("data: ")); events.Status != 200 || count < 501 || !bytes.HasSuffix(events.Body, []byte("[DONE]\n\n")) {
				t.Errorf("events: status %d, %d of more than 500", events.Status, count)
			}
			passing := strings.Repeat("not JSON ", 50000)
			passed := stack.Post("/plain/path", passing, "x-backend-echo", "1")
			if got := passed.Facts(t).BodyBytes; got != len(passing) {
				t.Errorf("%d bytes of %d passed", got, len(passing))
			}
		})
	}
}

// Where there is no room even for what would be lost, it is seen to be cut.
func TestNothingIsCutSilently(t *testing.T) {
	for name, options := range topologies {
		t.Run(name, func(t *testing.T) {
			options.Settings = []string{"EXTPROC_TOTAL_BODY_LIMIT=20000"}
			stack := rig.StartStack(t, options)
			reply := stack.Try(stack.Request("POST", "/v1/chat/completions", rig.Chat("model-a"), "x-backend-pad", "4000000"))
			if reply.Err == nil && reply.Status == 200 && len(reply.Body) < 4000000 {
				t.Errorf("%d bytes, as if they were all", len(reply.Body))
			}
			reply = stack.Try(stack.Request("POST", "/plain/path", large(4<<20), "x-backend-echo", "1"))
			if reply.Err == nil && reply.Status == 200 && reply.Facts(t).BodyBytes < 4<<20 {
				t.Errorf("%d bytes passed, as if they were all", reply.Facts(t).BodyBytes)
			}
		})
	}
}

// flood sends a body many times, so many at once, and counts what comes back.
func flood(t *testing.T, stack *rig.Stack, atOnce, each int, body string) map[int]int {
	counts, mutex := map[int]int{}, sync.Mutex{}
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for range each {
				reply := stack.Try(stack.Request("POST", "/v1/chat/completions", body))
				if reply.Err != nil || reply.Status != 200 && !isOverloaded(reply) {
					t.Errorf("status %d, %v: %.200s", reply.Status, reply.Err, reply.Body)
				}
				mutex.Lock()
				counts[reply.Status]++
				mutex.Unlock()
			}
		})
	}
	all.Wait()
	return counts
}

// In a container of 96 MiB, many bodies of 20 MB at the same time: some get 503, none breaks anything.
func TestManyLargeBodiesInASmallContainer(t *testing.T) {
	const memory, allowed = 96 << 20, (96 - 8) << 20 / 4
	group, usage := rig.MemoryGroup(t, memory)
	stack := rig.StartStack(t, rig.StackOptions{Group: group})
	if limit := stack.Extproc.Metric("extproc_body_bytes_limit"); limit != allowed {
		t.Fatalf("the limit of bodies is %v, want %d", limit, allowed)
	}
	stack.Extproc.WaitLine("that no body of 50 MiB fits", func(line string) bool {
		return rig.Fields(line)["level"] == "warn" && rig.Fields(line)["total_body_limit"] == fmt.Sprint(allowed)
	})
	text := large(20 << 20)
	counts := flood(t, stack, 8, 3, text)
	held, _ := os.ReadFile(usage)
	t.Logf("by status: %v; the container uses %s of %d bytes", counts, strings.TrimSpace(string(held)), memory)
	if stack.Extproc.HasEnded() {
		t.Fatal("the processor ended")
	}
	if reply := stack.Post("/v1/chat/completions", text); reply.Status != 200 {
		t.Errorf("alone, such a body gets %d: %.200s", reply.Status, reply.Body)
	}
}

// A peer that reads no answers may send what the windows allow, and no more; the others on its worker do
// not notice.
func TestSlowReaderIsBounded(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_WORKERS=1"}})
	slow := newPeer(t, stack.Extproc.GRPC, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	id := slow.open()
	first := headersMessage()
	slow.send(id, envelope(len(first), first))
	// Each message has 1 KiB of padding in an unknown field, and is answered with a few bytes.
	message := append([]byte{0xfa, 0x7f}, protoBytes(1<<10)...)
	message = append(message, first...)
	one := envelope(len(message), message)

	window, sent := slow.readWindow(), 0
	for {
		for window >= len(one) {
			slow.send(id, one)
			window -= len(one)
			sent++
		}
		more := slow.grant(id)
		window += more
		if sent > 100000 {
			t.Fatal("a peer that reads nothing may send without end")
		}
		if more == 0 {
			break
		}
	}
	t.Logf("%d messages of 1 KiB were taken from a peer that reads no answers", sent)
	for range 50 {
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			t.Fatalf("status %d beside a slow reader", reply.Status)
		}
	}
	// It reads on, and may send on.
	slow.framer.WriteWindowUpdate(id, 1<<20)
	if slow.grant(id) == 0 {
		t.Error("the window stays shut when the answers are read")
	}
}

func protoBytes(length int) []byte {
	return append(binary.AppendUvarint(nil, uint64(length)), make([]byte, length)...)
}

// readWindow reads up to the server's SETTINGS and says what a stream may send.
func (p *peer) readWindow() int {
	p.t.Helper()
	for {
		frame, err := p.framer.ReadFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		if settings, is := frame.(*http2.SettingsFrame); is && !settings.IsAck() {
			p.framer.WriteSettingsAck()
			size, _ := settings.Value(http2.SettingInitialWindowSize)
			return int(size)
		}
	}
}

// grant is the window that the server gives to the stream; 0: none within a moment.
func (p *peer) grant(id uint32) int {
	p.t.Helper()
	p.connection.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	for {
		frame, err := p.framer.ReadFrame()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0
		}
		if err != nil {
			p.t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.WindowUpdateFrame:
			if frame.StreamID == id {
				return int(frame.Increment)
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			p.t.Fatalf("the server ends the stream: %v", frame)
		}
	}
}

// Past the limit of connections the newest is closed, and those that are there are not touched.
func TestConnectionsAreLimited(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_CONNECTIONS=2"}, EnvoyWorkers: 1})
	post := func() {
		t.Helper()
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			t.Fatalf("status %d", reply.Status)
		}
	}
	post() // Envoy's connection
	second := newPeer(t, stack.Extproc.GRPC)
	second.readWindow()
	for range 5 {
		third, err := net.Dial("tcp", stack.Extproc.GRPC)
		if err != nil {
			t.Fatal(err)
		}
		third.SetReadDeadline(time.Now().Add(rig.Deadline))
		if count, err := third.Read(make([]byte, 1)); count != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one connection too many: %d bytes, %v", count, err)
		}
		third.Close()
		post()
	}
	if refused := stack.Extproc.Metric(`extproc_connections_total{outcome="over_limit"}`); refused != 5 {
		t.Errorf("%v connections counted as refused, want 5", refused)
	}
	// Who is full is not dead: the kubelet must not end it, nor Kubernetes take it off the list.
	if status, body := stack.Extproc.Get("/health"); status != http.StatusOK {
		t.Errorf("/health is %d of one that is full: %s", status, body)
	}
	post()
}

// Where the newest is Envoy's own, its requests fail at once and work again as soon as there is room.
func TestEnvoyOverTheLimitOfConnections(t *testing.T) {
	stack := rig.StartStack(t, rig.StackOptions{Settings: []string{"EXTPROC_CONNECTIONS=1"}, EnvoyWorkers: 1})
	only := newPeer(t, stack.Extproc.GRPC)
	only.readWindow()
	reply := stack.Post("/v1/chat/completions", rig.Chat("model-a"))
	if details := stack.Envoy.Access(reply.ID)["details"]; reply.Status != 500 || !strings.HasPrefix(details, "ext_proc_error_gRPC_error_14") {
		t.Errorf("status %d, %s", reply.Status, details)
	}
	only.connection.Close()
	rig.Eventually(t, func() string {
		if reply := stack.Post("/v1/chat/completions", rig.Chat("model-a")); reply.Status != 200 {
			return fmt.Sprintf("there is room again, not %d", reply.Status)
		}
		return ""
	})
}
