// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Backend is a running tests/backend.
type Backend struct {
	*Program
	Address string // 127.0.0.1:PORT
}

// BackendPath is the program of the stand-in backend.
func BackendPath(t testing.TB) string {
	t.Helper()
	return built(t, "BACKEND_BINARY", "tests/backend/backend")
}

// StartBackend starts a stand-in backend; its replies name it.
func StartBackend(t testing.TB, name string) *Backend {
	t.Helper()
	program := Start(t, "backend "+name, BackendPath(t), []string{"--name", name}, nil)
	const start = "listening address="
	line := program.WaitLine(start, func(line string) bool { return strings.HasPrefix(line, start) })
	return &Backend{program, strings.TrimPrefix(line, start)}
}

// WaitHeld waits until count replies stand at a gate (x-backend-hold).
func (b *Backend) WaitHeld(gate string, count int) {
	b.t.Helper()
	Eventually(b.t, func() string {
		if waiting := b.control(http.MethodGet, "/backend/waiting/"+gate); waiting != fmt.Sprintln(count) {
			return fmt.Sprintf("%d replies wait at gate %s: %s", count, gate, waiting)
		}
		return ""
	})
}

// Release opens a gate.
func (b *Backend) Release(gate string) {
	b.t.Helper()
	b.control(http.MethodPost, "/backend/release/"+gate)
}

func (b *Backend) control(method, path string) string {
	b.t.Helper()
	request, _ := http.NewRequest(method, "http://"+b.Address+path, nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}
