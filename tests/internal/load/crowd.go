// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is the opposite of a load: count clients that each send one byte of an HTTP request a second, and come again
// at their next second when they were thrown out. It ends with the context; sent counts the bytes.
func Crowd(ctx context.Context, address string, count int, sent *atomic.Int64) {
	var running sync.WaitGroup
	for range count {
		running.Go(func() { drip(ctx, address, sent) })
	}
	running.Wait()
}

func drip(ctx context.Context, address string, sent *atomic.Int64) {
	const request = "GET /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for at := 0; ctx.Err() == nil; at++ {
		if conn == nil {
			conn, _ = (&net.Dialer{}).DialContext(ctx, "tcp", address)
			at = 0
		}
		if conn != nil {
			if _, err := io.WriteString(conn, string(request[min(at, len(request)-1)])); err != nil {
				conn.Close()
				conn = nil
			} else {
				sent.Add(1)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
