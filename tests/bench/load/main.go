// SPDX-License-Identifier: Apache-2.0

// Command load puts an external processor under load as Envoy does, see package internal/load, and
// prints one line of what it saw:
//
//	load --address 127.0.0.1:1063 --kind 1k --streams 16 --requests 20000 --pid $(pidof extproc)
//	requests=20000 seconds=0.412 per_second=48543 p50_us=310 p99_us=640 sleeps_per_request=0.25 cpu_us_per_request=18.30
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"extproc/tests/internal/load"
)

func main() {
	options := load.Options{}
	flag.StringVar(&options.Address, "address", "127.0.0.1:1063", "where the processor listens: ADDRESS:PORT or unix:///PATH")
	flag.StringVar(&options.Kind, "kind", "1k", "what is sent: "+strings.Join(load.Kinds, ", "))
	flag.IntVar(&options.Streams, "streams", 16, "streams that are open at the same time")
	flag.IntVar(&options.Requests, "requests", 10000, "how many requests")
	flag.DurationVar(&options.Duration, "duration", 0, "for how long instead")
	flag.IntVar(&options.CPU, "cpu", -1, "the processor that the load stays on; -1: any")
	flag.IntVar(&options.Pid, "pid", 0, "the process whose processor time and sleeps are measured")
	crowd := flag.Int("crowd", 0, "instead: so many clients of HTTP at the address that send a byte a second, until it is killed")
	flag.Parse()
	if *crowd > 0 {
		load.Crowd(context.Background(), options.Address, *crowd, new(atomic.Int64))
	}
	result, err := load.Run(options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	seconds := result.Elapsed.Seconds()
	fmt.Printf("requests=%d seconds=%.3f per_second=%.0f p50_us=%d p99_us=%d sleeps_per_request=%.2f cpu_us_per_request=%.2f\n",
		result.Requests, seconds, float64(result.Requests)/seconds,
		result.Quantile(0.5)/time.Microsecond, result.Quantile(0.99)/time.Microsecond,
		float64(result.Sleeps)/float64(result.Requests),
		float64(result.CPU.Nanoseconds())/1e3/float64(result.Requests))
}
