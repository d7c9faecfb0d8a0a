// SPDX-License-Identifier: Apache-2.0

// Package speed compares the program with a server of the same job in Go and with one that does not
// look at what it answers: `make bench` runs its benchmark, `make test-go G=./bench/speed` sees that the
// servers do what is compared.
package speed

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modes "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	proc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"extproc/tests/internal/load"
	"extproc/tests/internal/rig"
)

// server is one that is compared.
type server struct {
	name    string
	program *rig.Program
	address string
}

// Where a server may run: directly the load has the other processor; through Envoy all may run on both, as
// what is bound to one of them would have to wait for who is there.
const first, both = "0", "0,1"

// names are the servers, ours first.
var names = []string{"ours", "Go", "null"}

// program is the server's path, and the begin of the line that tells where it listens.
func program(t testing.TB, name string) (path, prefix string) {
	switch name {
	case "ours":
		return rig.ExtprocPath(t), "msg=listening service=grpc address="
	case "Go":
		return rig.Built(t, "tests", "bench", "goserver"), "listening address="
	default:
		return rig.Built(t, "tests", "bench", "null"), "listening address="
	}
}

// start starts a server by its name, with one thread that works, on these processors, as taskset lists them.
func start(t testing.TB, name, cpus string, args ...string) *server {
	t.Helper()
	path, prefix := program(t, name)
	environment := append(rig.FreePorts(), "EXTPROC_WORKERS=1", "GOMAXPROCS=1")
	s := &server{name: name, program: rig.Start(t, name, "taskset", append([]string{"-c", cpus, path}, args...), environment)}
	line := s.program.WaitLine("that it listens", func(line string) bool { return strings.Contains(line, prefix) })
	_, s.address, _ = strings.Cut(line, prefix)
	return s
}

// startAndEnd takes the time from before the program is started to the line that says that it
// listens.
func startAndEnd(t testing.TB, name string) time.Duration {
	t.Helper()
	path, prefix := program(t, name)
	command := exec.Command(path)
	command.Env = append(os.Environ(), rig.FreePorts()...)
	output, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	command.Stdout, command.Stderr = input, input
	before := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	input.Close()
	defer command.Wait()
	defer command.Process.Kill()
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if strings.Contains(lines.Text(), prefix) {
			return time.Since(before)
		}
	}
	t.Fatalf("%s does not listen", name)
	return 0
}

// memory reads a size from /proc/PID/status, in MiB.
func (s *server) memory(t testing.TB, name string) float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.program.Pid()), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kilobytes / 1024
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// answers are those to one request of a kind.
func (s *server) answers(t testing.TB, kind string) []*proc.ProcessingResponse {
	t.Helper()
	result, err := load.Run(load.Options{Address: s.address, Kind: kind, Streams: 1, Requests: 1, CPU: -1, Keep: true})
	if err != nil {
		t.Fatalf("%s, %s: %v", s.name, kind, err)
	}
	var answers []*proc.ProcessingResponse
	for _, serialised := range result.Answers {
		answer := &proc.ProcessingResponse{}
		if err := proto.Unmarshal(serialised, answer); err != nil {
			t.Fatalf("%s, %s: %v", s.name, kind, err)
		}
		answers = append(answers, answer)
	}
	return answers
}

func TestServersDoTheJob(t *testing.T) {
	for _, name := range []string{"ours", "Go"} {
		s := start(t, name, first)
		for _, kind := range load.Kinds {
			answers := s.answers(t, kind)
			body := answers[1].GetRequestBody().GetResponse()
			set := map[string]string{}
			for _, option := range body.GetHeaderMutation().GetSetHeaders() {
				set[option.Header.Key] = string(option.Header.RawValue)
			}
			if set["x-ai-eg-model"] != load.Model || set["x-ai-eg-original-path"] != "/v1/chat/completions" || !body.GetClearRouteCache() {
				t.Errorf("%s, %s: the answer to the request's body: %v", name, kind, answers[1])
			}
			mode := modes.ProcessingMode_BUFFERED
			for _, answer := range answers[:3] {
				if override := answer.GetModeOverride(); override != nil {
					mode = override.GetResponseBodyMode()
				}
			}
			if (mode == modes.ProcessingMode_STREAMED) != (kind == "sse") {
				t.Errorf("%s, %s: the reply is asked for in the mode %v", name, kind, mode)
			}
			last := answers[len(answers)-1].GetDynamicMetadata().GetFields()["io.envoy.ai_gateway"].GetStructValue().GetFields()
			for key, want := range map[string]float64{
				"llm_input_token": load.InputTokens, "llm_cached_input_token": load.CachedTokens,
				"llm_output_token": load.TotalTokens - load.InputTokens, "llm_total_token": load.TotalTokens,
			} {
				if got := last[key].GetNumberValue(); got != want {
					t.Errorf("%s, %s: %s is %v, want %v", name, kind, key, got, want)
				}
			}
		}
	}
}

func TestNullServerAnswersInOrder(t *testing.T) {
	testNullServer(t, start(t, "null", first), modes.ProcessingMode_NONE)
	testNullServer(t, start(t, "null", first, "--pieces"), modes.ProcessingMode_STREAMED)
}

func testNullServer(t *testing.T, s *server, mode modes.ProcessingMode_BodySendMode) {
	t.Helper()
	for _, kind := range load.Kinds {
		answers := s.answers(t, kind)
		want := 4
		if kind == "sse" {
			want = 3 + load.Events + 1
		}
		if len(answers) != want {
			t.Errorf("%s: %d answers, want %d", kind, len(answers), want)
		}
		if answers[0].GetRequestHeaders() == nil || answers[1].GetRequestBody() == nil || answers[2].GetResponseHeaders() == nil || answers[want-1].GetResponseBody() == nil {
			t.Errorf("%s: the answers are not of the messages' kinds: %v", kind, answers)
		}
		if got := answers[2].GetModeOverride().GetResponseBodyMode(); got != mode {
			t.Errorf("%s: it asks for the reply's body %v, want %v", kind, got, mode)
		}
	}
}

func TestServersRefuseWhatIsNoJSON(t *testing.T) {
	for _, name := range []string{"ours", "Go"} {
		s := start(t, name, first)
		connection, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		stream, err := proc.NewExternalProcessorClient(connection).Process(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, request := range []*proc.ProcessingRequest{
			{Request: &proc.ProcessingRequest_RequestHeaders{RequestHeaders: &proc.HttpHeaders{Headers: &core.HeaderMap{
				Headers: []*core.HeaderValue{{Key: ":method", RawValue: []byte("POST")}, {Key: ":path", RawValue: []byte("/v1/chat/completions")}}}}}},
			{Request: &proc.ProcessingRequest_RequestBody{RequestBody: &proc.HttpBody{
				Body: []byte(`{"model":"` + load.Model + `","messages":[}`), EndOfStream: true}}},
		} {
			if err := stream.Send(request); err != nil {
				t.Fatal(err)
			}
			answer, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if code := answer.GetImmediateResponse().GetStatus().GetCode(); i == 1 && code != 400 {
				t.Errorf("%s: the status is %v, want 400", name, code)
			}
		}
	}
}
