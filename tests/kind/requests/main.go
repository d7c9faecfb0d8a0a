// SPDX-License-Identifier: Apache-2.0

// Requests sends chat completions to an Envoy beside it until it is told to stop, and prints once a
// second what became of them, one JSON object a line. Requests count from the first answer on.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const body = `{"model":"model-a","messages":[{"role":"user","content":"Hello"}]}`

type counts struct {
	sync.Mutex
	Sent, Failed int
	FirstFailure string
}

func (c *counts) add(failure string) {
	c.Lock()
	defer c.Unlock()
	c.Sent++
	if failure != "" {
		c.Failed++
	}
	if c.FirstFailure == "" {
		c.FirstFailure = failure
	}
}

func (c *counts) print() {
	c.Lock()
	defer c.Unlock()
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"sent": c.Sent, "failed": c.Failed, "first_failure": c.FirstFailure,
	})
}

// send says what went wrong, or "".
func send(url string) string {
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"usage"`) {
		return fmt.Sprintf("%d: %.200s", response.StatusCode, answer)
	}
	return ""
}

func main() {
	url := flag.String("url", "http://127.0.0.1:10000/v1/chat/completions", "where to send them")
	clients := flag.Int("clients", 4, "how many at a time")
	pause := flag.Duration("pause", 5*time.Millisecond, "of each client, between two")
	flag.Parse()
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = *clients

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	for send(*url) != "" && stop.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	var counted counts
	for range *clients {
		go func() {
			for {
				counted.add(send(*url))
				time.Sleep(*pause)
			}
		}()
	}
	for tick := time.Tick(time.Second); stop.Err() == nil; {
		counted.print()
		select {
		case <-tick:
		case <-stop.Done():
		}
	}
	counted.print()
}
