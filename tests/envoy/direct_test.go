// SPDX-License-Identifier: Apache-2.0

package envoy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"extproc/tests/internal/rig"
)

// dial opens a gRPC connection of its own to the processor, as a kubelet's probe does.
func dial(t *testing.T, extproc *rig.Extproc) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+extproc.GRPC,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

func check(connection *grpc.ClientConn, service string) (grpc_health_v1.HealthCheckResponse_ServingStatus, error) {
	ctx, cancel := context.WithTimeout(context.Background(), rig.Deadline)
	defer cancel()
	reply, err := grpc_health_v1.NewHealthClient(connection).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: service})
	return reply.GetStatus(), err
}

func TestHealthByGRPC(t *testing.T) {
	extproc := rig.StartExtproc(t, "EXTPROC_DRAIN_DELAY=1m")
	connection := dial(t, extproc)
	for _, service := range []string{"", "envoy.service.ext_proc.v3.ExternalProcessor"} {
		if serving, err := check(connection, service); err != nil || serving != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("service %q: %v, %v", service, serving, err)
		}
	}
	extproc.Signal(sigterm)
	rig.Eventually(t, func() string {
		if serving, err := check(connection, ""); err != nil || serving != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			return fmt.Sprintf("NOT_SERVING while it drains, not %v, %v", serving, err)
		}
		return ""
	})
}

// A method that is not there ends its stream and no other.
func TestUnknownMethod(t *testing.T) {
	extproc := rig.StartExtproc(t)
	connection := dial(t, extproc)
	for _, method := range []string{"/grpc.health.v1.Health/Nothing", "/no.such.Service/Method"} {
		ctx, cancel := context.WithTimeout(context.Background(), rig.Deadline)
		err := connection.Invoke(ctx, method, &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
		cancel()
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v, want Unimplemented", method, err)
		}
	}
	if _, err := check(connection, ""); err != nil {
		t.Error(err)
	}
	if accepted := extproc.Metric(`extproc_connections_total{outcome="accepted"}`); accepted != 1 {
		t.Errorf("%v connections, want 1: an unknown method is no reason to close", accepted)
	}
}

// One client after the other asks on its own connection, so that each request wakes the worker that
// owns the connection once: with equally many connections, equally many wake-ups.
func TestWorkersShareTheConnections(t *testing.T) {
	const workers, perWorker, rounds = 2, 8, 25
	extproc := rig.StartExtproc(t, fmt.Sprintf("EXTPROC_WORKERS=%d", workers))
	if got := extproc.Metric("extproc_workers"); got != workers {
		t.Fatalf("%v workers, want %d", got, workers)
	}
	var connections []*grpc.ClientConn
	for range workers * perWorker {
		connections = append(connections, dial(t, extproc))
		if _, err := check(connections[len(connections)-1], ""); err != nil {
			t.Fatal(err)
		}
	}
	before := wakeups(t, extproc.Pid())
	for range rounds {
		for _, connection := range connections {
			if _, err := check(connection, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	var counts []int
	for thread, count := range wakeups(t, extproc.Pid()) {
		counts = append(counts, count-before[thread])
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	// A request may wake its worker more than once; a worker without connections stays at none.
	if least := rounds * perWorker / 2; len(counts) < workers || counts[workers-1] < least || counts[0] > 2*counts[workers-1] {
		t.Errorf("wake-ups of the threads: %v, want about the same for %d workers", counts, workers)
	}
}

// wakeups counts for each thread how often it gave up its processor to wait.
func wakeups(t *testing.T, pid int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that is gone
		}
		for line := range strings.Lines(string(text)) {
			if number, is := strings.CutPrefix(line, "voluntary_ctxt_switches:"); is {
				counts[file], _ = strconv.Atoi(strings.TrimSpace(number))
			}
		}
	}
	return counts
}
