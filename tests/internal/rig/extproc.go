// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Extproc is a running external processor.
type Extproc struct {
	*Program
	GRPC  string // 127.0.0.1:PORT or unix:///PATH
	Admin string // 127.0.0.1:PORT
	Pprof string // 127.0.0.1:PORT, empty with DISABLE_PPROF
}

// ExtprocPath is the program under test.
func ExtprocPath(t testing.TB) string {
	t.Helper()
	return built(t, "EXTPROC_BINARY", "extproc")
}

// FreePorts are the settings that every test starts from: ports of the kernel's choice on 127.0.0.1
// and no drain delay.
func FreePorts() []string {
	return []string{
		"EXTPROC_LISTEN=127.0.0.1:0", "EXTPROC_ADMIN_ADDRESS=127.0.0.1:0",
		"PPROF_ADDRESS=127.0.0.1:0", "EXTPROC_DRAIN_DELAY=0",
	}
}

// StartExtprocRaw starts the external processor and does not wait. Settings are environment variables,
// NAME=value; those given here beat FreePorts.
func StartExtprocRaw(t testing.TB, settings ...string) *Program {
	t.Helper()
	return Start(t, "extproc", ExtprocPath(t), nil, append(FreePorts(), settings...))
}

// StartExtproc starts the external processor and waits until it listens.
func StartExtproc(t testing.TB, settings ...string) *Extproc {
	t.Helper()
	e := StartExtprocWithoutPprof(t, settings...)
	e.Pprof = e.waitListening("pprof")
	return e
}

// WaitPprof waits until the profiling endpoint is open, and sets Pprof.
func (e *Extproc) WaitPprof() {
	e.t.Helper()
	e.Pprof = e.waitListening("pprof")
}

// StartExtprocWithoutPprof waits for gRPC and admin only; see WaitPprof.
func StartExtprocWithoutPprof(t testing.TB, settings ...string) *Extproc {
	t.Helper()
	e := &Extproc{Program: StartExtprocRaw(t, settings...)}
	e.GRPC = e.waitListening("grpc")
	e.Admin = e.waitListening("admin")
	return e
}

func (e *Extproc) waitListening(service string) string {
	e.t.Helper()
	line := e.WaitLine("that "+service+" is listening", func(line string) bool {
		fields := Fields(line)
		return fields["msg"] == "listening" && fields["service"] == service
	})
	return Fields(line)["address"]
}

var fieldPattern = regexp.MustCompile(`([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)`)

// Fields reads a line of key=value pairs: a log line in logfmt, or one of the access log.
func Fields(line string) map[string]string {
	fields := map[string]string{}
	for _, pair := range fieldPattern.FindAllStringSubmatch(line, -1) {
		value := pair[2]
		if text, err := strconv.Unquote(value); err == nil {
			value = text
		}
		fields[pair[1]] = value
	}
	return fields
}

// Get asks the admin server.
func (e *Extproc) Get(path string) (status int, body string) {
	e.t.Helper()
	return e.get(e.Admin, path)
}

// GetPprof asks the profiling endpoint for what is behind /debug/pprof/.
func (e *Extproc) GetPprof(name string) (status int, body string) {
	e.t.Helper()
	return e.get(e.Pprof, "/debug/pprof/"+name)
}

func (e *Extproc) get(address, path string) (status int, body string) {
	e.t.Helper()
	response, err := http.Get("http://" + address + path)
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// Metric reads a sample of /metrics by its name with labels, as it is printed; a name without
// labels means the sum over all label values. 0 if there is none.
func (e *Extproc) Metric(name string) float64 {
	e.t.Helper()
	_, text := e.Get("/metrics")
	sum := 0.0
	for line := range strings.Lines(text) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(sample, "{"); sample != name && base != name {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			e.t.Fatalf("metric %q: %v", line, err)
		}
		sum += number
	}
	return sum
}
