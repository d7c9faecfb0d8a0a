// SPDX-License-Identifier: Apache-2.0

// Package load puts an external processor under load as Envoy does: one HTTP/2 connection, a stream
// for each request, headers, body, reply's headers and reply's body one after the other, and at the
// end RST_STREAM. It costs next to nothing itself: what it sends was put together before, and what it
// receives is cut into messages but not read, unless it is asked for the answers.
package load

import (
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options says what to send. The load ends after Requests, or after Duration if that is set.
type Options struct {
	Address  string // 127.0.0.1:PORT or unix:///PATH
	Kind     string // one of Kinds
	Streams  int    // that are open at the same time
	Requests int
	Duration time.Duration
	CPU      int  // the load runs on this processor only; -1: on any
	Models   int  // each request names another of so many models, m000000 and so on; 0: all name Model
	Pid      int  // whose processor time and sleeps are measured; 0: nobody's
	Keep     bool // the answers of the first stream are kept
}

// Result is what was seen.
type Result struct {
	Requests int
	Elapsed  time.Duration
	Latency  []time.Duration // of each request, from its first byte to its last answer; sorted
	Usage                    // of Pid, meanwhile
	Answers  [][]byte        // with Keep: serialised ProcessingResponses
}

// Quantile of the latencies: 0.99 is p99.
func (r *Result) Quantile(share float64) time.Duration {
	if len(r.Latency) == 0 {
		return 0
	}
	return r.Latency[min(int(share*float64(len(r.Latency))), len(r.Latency)-1)]
}

// Run opens a connection and ends when the last answer is there.
func Run(options Options) (*Result, error) {
	if options.CPU >= 0 {
		release, err := stayOn(options.CPU)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	c, err := dial(options.Address, script(options.Kind))
	if err != nil {
		return nil, err
	}
	defer unix.Close(c.fd)
	c.models = options.Models
	result := &Result{}
	if options.Keep {
		c.kept = &result.Answers
	}
	before, start := UsageOf(options.Pid), time.Now()
	c.wantsMore = func() bool {
		if options.Duration != 0 {
			return time.Since(start) < options.Duration
		}
		return c.opened < options.Requests
	}
	if err := c.run(options.Streams); err != nil {
		return nil, err
	}
	result.Elapsed, result.Usage = time.Since(start), UsageOf(options.Pid).Since(before)
	result.Requests, result.Latency = len(c.latency), c.latency
	slices.Sort(result.Latency)
	return result, nil
}

// stayOn keeps the goroutine on a processor. The thread must not end with it: that would kill the
// programs that package rig started from this thread.
func stayOn(cpu int) (release func(), err error) {
	runtime.LockOSThread()
	var before, set unix.CPUSet
	set.Set(cpu)
	if err = unix.SchedGetaffinity(0, &before); err == nil {
		err = unix.SchedSetaffinity(0, &set)
	}
	return func() {
		unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	}, err
}

func sockaddr(address string) (int, unix.Sockaddr, error) {
	if path, is := strings.CutPrefix(address, "unix://"); is {
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, nil
	}
	return inetSockaddr(address)
}
