// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
)

const (
	frameMost     = 16384
	windowStart   = 65535
	windowOurs    = 1 << 20 // of the connection, as Envoy's; streams keep theirs
	internalError = 2       // Envoy's code for a stream that it is done with
)

// connection is the client's side of an HTTP/2 connection, on a socket that blocks: there is never
// anything to do but to wait for the server.
type connection struct {
	fd        int
	steps     [][]byte
	models    int
	wantsMore func() bool
	kept      *[][]byte

	in, out []byte // received but not taken, to be sent
	streams map[uint32]*stream
	waiting []*stream // for window
	opened  int
	latency []time.Duration

	firstBlock, laterBlock []byte
	window, streamWindow   int // what we may send, and what a new stream may
	received               int // since the last WINDOW_UPDATE
}

type stream struct {
	id      uint32
	start   time.Time
	step    int
	unsent  []byte // of the step
	window  int
	waits   bool
	prefix  [5]byte // of the answer that comes
	got     int     // of the prefix
	left    int     // of the answer behind it
	answer  []byte  // if it is kept
	isFirst bool
}

func inetSockaddr(address string) (int, unix.Sockaddr, error) {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0, nil, err
	}
	if parsed.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(parsed.Port()), Addr: parsed.Addr().As4()}, nil
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(parsed.Port()), Addr: parsed.Addr().As16()}, nil
}

// dial connects and sends what Envoy sends first, without waiting for the server.
func dial(address string, steps [][]byte) (*connection, error) {
	family, to, err := sockaddr(address)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if family != unix.AF_UNIX {
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	// A server that is stuck is an error, not a load that never ends.
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30})
	if err := unix.Connect(fd, to); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	c := &connection{fd: fd, steps: steps, streams: map[uint32]*stream{}, window: windowStart, streamWindow: windowStart}
	var first bytes.Buffer
	first.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&first, nil)
	framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: 4096},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1024},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65536})
	framer.WriteWindowUpdate(0, windowOurs-windowStart)
	c.out = first.Bytes()

	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	c.firstBlock = encodeHeaders(encoder, &block)
	c.laterBlock = encodeHeaders(encoder, &block)
	return c, nil
}

// encodeHeaders gives the same block each time after the first: everything is in HPACK's table then.
func encodeHeaders(encoder *hpack.Encoder, block *bytes.Buffer) []byte {
	block.Reset()
	for _, field := range [][2]string{
		{":method", "POST"}, {":path", "/envoy.service.ext_proc.v3.ExternalProcessor/Process"},
		{":authority", "ai-gateway-extproc-uds"}, {":scheme", "http"}, {"te", "trailers"},
		{"content-type", "application/grpc"}, {"x-envoy-internal", "true"}, {"x-forwarded-for", "10.0.0.1"},
	} {
		encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	return bytes.Clone(block.Bytes())
}

func (c *connection) run(streams int) error {
	for range streams {
		c.open()
	}
	input := make([]byte, 256<<10)
	for len(c.streams) > 0 {
		if err := c.flush(); err != nil {
			return err
		}
		count, err := unix.Read(c.fd, input)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		if count == 0 {
			return fmt.Errorf("the server closed the connection with %d streams open", len(c.streams))
		}
		if err := c.take(input[:count]); err != nil {
			return err
		}
	}
	return c.flush()
}

func (c *connection) flush() error {
	for rest := c.out; len(rest) > 0; {
		count, err := unix.Write(c.fd, rest)
		if err != nil && err != unix.EINTR {
			return err
		}
		rest = rest[max(count, 0):]
	}
	c.out = c.out[:0]
	return nil
}

func (c *connection) frame(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	length := len(payload)
	c.out = append(c.out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	c.out = binary.BigEndian.AppendUint32(c.out, id)
	c.out = append(c.out, payload...)
}

func (c *connection) number(kind http2.FrameType, id uint32, value uint32) {
	c.frame(kind, 0, id, binary.BigEndian.AppendUint32(nil, value))
}

func (c *connection) open() {
	if !c.wantsMore() {
		return
	}
	s := &stream{id: uint32(2*c.opened + 1), start: time.Now(), window: c.streamWindow, isFirst: c.opened == 0}
	c.opened++
	c.streams[s.id] = s
	block := c.laterBlock
	if s.isFirst {
		block = c.firstBlock
	}
	c.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, s.id, block)
	s.unsent = c.steps[0]
	c.send(s)
}

// send sends what the windows allow; take goes on when there is more.
func (c *connection) send(s *stream) {
	for len(s.unsent) > 0 {
		length := min(len(s.unsent), frameMost, s.window, c.window)
		if length <= 0 {
			if !s.waits {
				s.waits = true
				c.waiting = append(c.waiting, s)
			}
			return
		}
		c.frame(http2.FrameData, 0, s.id, s.unsent[:length])
		s.unsent = s.unsent[length:]
		s.window -= length
		c.window -= length
	}
}

func (c *connection) sendWaiting() {
	waiting := c.waiting
	c.waiting = nil
	for _, s := range waiting {
		s.waits = false
		c.send(s)
	}
}

func (c *connection) take(input []byte) error {
	if len(c.in) > 0 {
		c.in = append(c.in, input...)
		input = c.in
	}
	for len(input) >= 9 {
		length := int(input[0])<<16 | int(input[1])<<8 | int(input[2])
		if len(input) < 9+length {
			break
		}
		id := binary.BigEndian.Uint32(input[5:]) &^ (1 << 31)
		if err := c.takeFrame(http2.FrameType(input[3]), http2.Flags(input[4]), id, input[9:9+length]); err != nil {
			return err
		}
		input = input[9+length:]
	}
	c.in = append(c.in[:0], input...)
	if len(c.waiting) > 0 {
		c.sendWaiting()
	}
	return nil
}

func (c *connection) takeFrame(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte) error {
	switch kind {
	case http2.FrameData:
		c.received += len(payload)
		if c.received > windowOurs/2 {
			c.number(http2.FrameWindowUpdate, 0, uint32(c.received))
			c.received = 0
		}
		if s := c.streams[id]; s != nil {
			c.takeAnswers(s, payload)
		}
	case http2.FrameHeaders:
		if c.streams[id] != nil && flags.Has(http2.FlagHeadersEndStream) {
			return fmt.Errorf("the server ended stream %d, with an answer owed", id)
		}
	case http2.FrameSettings:
		if flags.Has(http2.FlagSettingsAck) {
			return nil
		}
		for rest := payload; len(rest) >= 6; rest = rest[6:] {
			if http2.SettingID(binary.BigEndian.Uint16(rest)) != http2.SettingInitialWindowSize {
				continue
			}
			change := int(binary.BigEndian.Uint32(rest[2:])) - c.streamWindow
			c.streamWindow += change
			for _, s := range c.streams {
				s.window += change
			}
		}
		c.frame(http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
	case http2.FrameWindowUpdate:
		amount := int(binary.BigEndian.Uint32(payload))
		if id == 0 {
			c.window += amount
		} else if s := c.streams[id]; s != nil {
			s.window += amount
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			c.frame(http2.FramePing, http2.FlagPingAck, 0, payload)
		}
	case http2.FrameRSTStream:
		if c.streams[id] != nil {
			return fmt.Errorf("the server reset stream %d: %d", id, binary.BigEndian.Uint32(payload))
		}
	case http2.FrameGoAway:
		return fmt.Errorf("the server says GOAWAY: %d %q", binary.BigEndian.Uint32(payload[4:]), payload[8:])
	}
	return nil
}

// takeAnswers counts the gRPC messages; each asks for the next step.
func (c *connection) takeAnswers(s *stream, data []byte) {
	for len(data) > 0 {
		count := copy(s.prefix[s.got:], data)
		s.got += count
		data = data[count:]
		if s.got < len(s.prefix) {
			return
		}
		if count > 0 {
			s.left = int(binary.BigEndian.Uint32(s.prefix[1:]))
		}
		count = min(s.left, len(data))
		if s.isFirst && c.kept != nil {
			s.answer = append(s.answer, data[:count]...)
		}
		s.left -= count
		data = data[count:]
		if s.left > 0 {
			return
		}
		s.got = 0
		c.next(s)
	}
}

func (c *connection) next(s *stream) {
	if s.isFirst && c.kept != nil {
		*c.kept = append(*c.kept, s.answer)
		s.answer = nil
	}
	s.step++
	if s.step < len(c.steps) {
		s.unsent = c.steps[s.step]
		if s.step == bodyStep && c.models > 0 {
			s.unsent = withModel(s.unsent, int(s.id/2)%c.models)
		}
		c.send(s)
		return
	}
	c.latency = append(c.latency, time.Since(s.start))
	delete(c.streams, s.id)
	c.number(http2.FrameRSTStream, s.id, internalError)
	c.open()
}
