// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"extproc/tests/internal/rig"
)

func dial(t *testing.T, extproc *rig.Extproc) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+extproc.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

func process(t *testing.T, ctx context.Context, connection *grpc.ClientConn) extprocv3.ExternalProcessor_ProcessClient {
	t.Helper()
	stream, err := extprocv3.NewExternalProcessorClient(connection).Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// headers is the first message of a chat completion.
func headers() *extprocv3.ProcessingRequest {
	values := []*corev3.HeaderValue{}
	for _, pair := range [][2]string{{":method", "POST"}, {":path", "/v1/chat/completions"}, {"content-type", "application/json"}} {
		values = append(values, &corev3.HeaderValue{Key: pair[0], RawValue: []byte(pair[1])})
	}
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{
		RequestHeaders: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{Headers: values}},
	}}
}

func body(text string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
		RequestBody: &extprocv3.HttpBody{Body: []byte(text), EndOfStream: true},
	}}
}

func ask(t *testing.T, stream extprocv3.ExternalProcessor_ProcessClient, request *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	t.Helper()
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), rig.Deadline)
	t.Cleanup(cancel)
	return ctx
}

// Who watches hears of the drain at its begin, while requests are still taken, and does not hold up
// its end.
func TestHealthWatch(t *testing.T) {
	extproc := rig.StartExtproc(t, "EXTPROC_DRAIN_DELAY=1s", "EXTPROC_DRAIN_DEADLINE=60m")
	client := grpc_health_v1.NewHealthClient(dial(t, extproc))
	watch := func(service string) grpc_health_v1.Health_WatchClient {
		stream, err := client.Watch(limited(t), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	next := func(stream grpc_health_v1.Health_WatchClient, want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if reply, err := stream.Recv(); err != nil || reply.Status != want {
			t.Fatalf("%v, %v, want %v", reply, err, want)
		}
	}
	all, own, unknown := watch(""), watch("envoy.service.ext_proc.v3.ExternalProcessor"), watch("nobody")
	next(all, grpc_health_v1.HealthCheckResponse_SERVING)
	next(own, grpc_health_v1.HealthCheckResponse_SERVING)
	next(unknown, grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN)
	extproc.Signal(syscall.SIGTERM)
	next(all, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	next(own, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	for _, stream := range []grpc_health_v1.Health_WatchClient{all, own, unknown} {
		if reply, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("at the end: %v, %v, want Unavailable", reply, err)
		}
	}
	if code := extproc.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The deadline is the client's business: grpc-timeout is not looked at, the client ends the stream.
func TestClientEndsItsStreamAtTheDeadline(t *testing.T) {
	extproc := rig.StartExtproc(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	stream := process(t, ctx, dial(t, extproc))
	if err := stream.Send(headers()); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); status.Code(err) != codes.DeadlineExceeded; {
		if _, err = stream.Recv(); err != nil && status.Code(err) != codes.DeadlineExceeded {
			t.Fatal(err)
		}
	}
	rig.Eventually(t, func() string {
		if extproc.Metric("extproc_streams_in_flight") != 0 {
			return "no stream is left"
		}
		return ""
	})
}

// descriptors is a file with what grpcurl has to know of our services: all that theirs depend on.
func descriptors(t *testing.T) string {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(extprocv3.File_envoy_service_ext_proc_v3_external_processor_proto)
	add(grpc_health_v1.File_grpc_health_v1_health_proto)
	text, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "services.protoset")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGrpcurl(t *testing.T) {
	extproc := rig.StartExtproc(t)
	protoset := descriptors(t)
	grpcurl := func(input string, args ...string) string {
		t.Helper()
		all := append([]string{"tool", "grpcurl", "-plaintext", "-protoset", protoset, "-d", "@"}, args...)
		command := exec.Command("go", slices.Insert(all, len(all)-1, extproc.GRPC)...)
		command.Stdin = strings.NewReader(input)
		// What go says while it fetches and builds it is no answer.
		var said strings.Builder
		command.Stderr = &said
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %s%s", err, said.String(), out)
		}
		return string(out)
	}
	var reply struct{ Status string }
	if out := grpcurl("{}", "grpc.health.v1.Health/Check"); json.Unmarshal([]byte(out), &reply) != nil || reply.Status != "SERVING" {
		t.Errorf("Check: %s", out)
	}
	// "aQ==" and so on: bytes are base64 in JSON. POST /v1/chat/completions, then {"model":"m"}.
	const requests = `{"requestHeaders": {"headers": {"headers": [
		{"key": ":method", "rawValue": "UE9TVA=="}, {"key": ":path", "rawValue": "L3YxL2NoYXQvY29tcGxldGlvbnM="}]}}}
		{"requestBody": {"body": "eyJtb2RlbCI6Im0ifQ==", "endOfStream": true}}`
	out := grpcurl(requests, "envoy.service.ext_proc.v3.ExternalProcessor/Process")
	if !strings.Contains(out, `"requestHeaders"`) || !strings.Contains(out, `"requestBody"`) ||
		!strings.Contains(out, `"x-ai-eg-model"`) {
		t.Errorf("Process: %s", out)
	}
}

// Past the limit the newest gets a 503 that its client can read; the others are not touched, and
// health checks are not counted.
func TestStreamsLimit(t *testing.T) {
	const most = 3
	extproc := rig.StartExtproc(t, fmt.Sprintf("EXTPROC_TOTAL_STREAMS=%d", most), "EXTPROC_WORKERS=2")
	var streams []extprocv3.ExternalProcessor_ProcessClient
	for range most {
		stream := process(t, limited(t), dial(t, extproc)) // on both workers
		ask(t, stream, headers())
		streams = append(streams, stream)
	}
	late := process(t, limited(t), dial(t, extproc))
	late.Send(headers()) // io.EOF if the answer was faster
	response, err := late.Recv()
	if err != nil {
		t.Fatal(err)
	}
	immediate := response.GetImmediateResponse()
	var reply struct {
		Error struct{ Message, Type, Code string }
	}
	if immediate.GetStatus().GetCode() != 503 || json.Unmarshal(immediate.GetBody(), &reply) != nil || reply.Error.Code != "overloaded" {
		t.Errorf("the newest got %v", response)
	}
	if _, err := late.Recv(); err == nil || err.Error() != "EOF" {
		t.Errorf("after its answer: %v, want the end", err)
	}
	if reply, err := grpc_health_v1.NewHealthClient(dial(t, extproc)).Check(limited(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("a health check while there are too many streams: %v, %v", reply, err)
	}
	for _, stream := range streams {
		if answer := ask(t, stream, body(`{"model":"m"}`)); answer.GetRequestBody() == nil {
			t.Errorf("one of those under way got %v", answer)
		}
	}
	streams[0].CloseSend()
	rig.Eventually(t, func() string {
		stream := process(t, limited(t), dial(t, extproc))
		stream.Send(headers())
		if answer, err := stream.Recv(); err != nil || answer.GetRequestHeaders() == nil {
			return fmt.Sprintf("there is room again, not %v, %v", answer, err)
		}
		return ""
	})
	if refused := extproc.Metric(`extproc_streams_refused_total{reason="streams_limit"}`); refused < 1 {
		t.Errorf("%v refused for the limit", refused)
	}
	if counted := extproc.Metric(`extproc_requests_total{outcome="overloaded"}`); counted < 1 {
		t.Errorf("%v requests counted as overloaded", counted)
	}
}
