// SPDX-License-Identifier: Apache-2.0

// Command goserver is the peer of the benches: the external processor's plain job as one writes it in
// Go, with grpc-go, go-control-plane and gjson. It finds the model, sets the headers that routes look
// at, refuses what is no JSON, switches event streams to pieces, reads the usage from JSON and from
// events, sets the metadata and counts with client_golang. It has no limits, no labels and no
// profiler, and takes replies for valid. With --bare it does not check requests either, and counts
// nothing.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modes "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	proc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	status "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/gjson"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"
)

func main() {
	address := flag.String("listen", "127.0.0.1:0", "where gRPC is spoken")
	admin := flag.String("admin", "127.0.0.1:0", "where /metrics is served")
	bare := flag.Bool("bare", false, "neither check that JSON is valid nor count anything")
	flag.Parse()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt))
	processor := processor{checks: !*bare}
	if !*bare {
		registry := prometheus.NewRegistry()
		processor.metrics = newMetrics(registry)
		go func() { log.Fatal(serve(*admin, registry)) }()
	}
	proc.RegisterExternalProcessorServer(server, processor)
	fmt.Printf("listening address=%s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}

type processor struct {
	proc.UnimplementedExternalProcessorServer
	checks  bool
	metrics *metrics // nil: nothing is counted
}

// stream is what is known of one request.
type stream struct {
	processor
	path, operation  string
	requested, model string // as the request names it, and the reply
	isModels         bool   // a request that names a model
	isEvents         bool   // its reply is read in pieces
	line             []byte
	usage            gjson.Result
	start, first     time.Time // of the request, of the first event
}

func (p processor) Process(server proc.ExternalProcessor_ProcessServer) error {
	s := &stream{processor: p}
	for {
		request, err := server.Recv()
		if err != nil {
			return err
		}
		var answer *proc.ProcessingResponse
		switch message := request.Request.(type) {
		case *proc.ProcessingRequest_RequestHeaders:
			answer = s.requestHeaders(message.RequestHeaders)
		case *proc.ProcessingRequest_RequestBody:
			answer = s.requestBody(message.RequestBody.Body)
		case *proc.ProcessingRequest_ResponseHeaders:
			answer = s.responseHeaders(message.ResponseHeaders)
		case *proc.ProcessingRequest_ResponseBody:
			answer = s.responseBody(message.ResponseBody)
		default:
			return fmt.Errorf("a message of type %T", message)
		}
		if err := server.Send(answer); err != nil {
			return err
		}
	}
}

func find(headers *proc.HttpHeaders, name string) string {
	for _, header := range headers.GetHeaders().GetHeaders() {
		if header.Key == name {
			return string(header.RawValue)
		}
	}
	return ""
}

var operations = map[string]string{"/v1/chat/completions": "chat", "/v1/completions": "completion",
	"/v1/embeddings": "embeddings", "/v1/responses": "responses"}

func (s *stream) requestHeaders(headers *proc.HttpHeaders) *proc.ProcessingResponse {
	s.start = time.Now()
	s.path = find(headers, ":path")
	path, _, _ := strings.Cut(s.path, "?")
	s.operation = operations[path]
	s.isModels = s.operation != "" && find(headers, ":method") == "POST"
	return &proc.ProcessingResponse{Response: &proc.ProcessingResponse_RequestHeaders{
		RequestHeaders: &proc.HeadersResponse{Response: &proc.CommonResponse{}}}}
}

func (s *stream) requestBody(body []byte) *proc.ProcessingResponse {
	common := &proc.CommonResponse{}
	if s.isModels {
		if s.checks && !gjson.ValidBytes(body) {
			return s.refuse("malformed_json")
		}
		model := gjson.GetBytes(body, "model")
		if model.Type != gjson.String || model.Str == "" {
			return s.refuse("model_missing")
		}
		s.requested = model.Str
		common.ClearRouteCache = true
		common.HeaderMutation = &proc.HeaderMutation{SetHeaders: []*core.HeaderValueOption{
			overwrite("x-ai-eg-model", model.Str), overwrite("x-ai-eg-original-path", s.path)}}
	}
	return &proc.ProcessingResponse{Response: &proc.ProcessingResponse_RequestBody{
		RequestBody: &proc.BodyResponse{Response: common}}}
}

func (s *stream) refuse(code string) *proc.ProcessingResponse {
	s.metrics.refuse(code)
	return &proc.ProcessingResponse{Response: &proc.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &proc.ImmediateResponse{
			Status: &status.HttpStatus{Code: status.StatusCode_BadRequest},
			Body:   fmt.Appendf(nil, `{"error":{"message":"%[1]s","type":"invalid_request_error","code":"%[1]s"}}`, code),
		}}}
}

func overwrite(key, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: key, RawValue: []byte(value)},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func (s *stream) responseHeaders(headers *proc.HttpHeaders) *proc.ProcessingResponse {
	answer := &proc.ProcessingResponse{Response: &proc.ProcessingResponse_ResponseHeaders{
		ResponseHeaders: &proc.HeadersResponse{Response: &proc.CommonResponse{}}}}
	s.isModels = s.isModels && find(headers, ":status") == "200"
	s.isEvents = s.isModels && strings.HasPrefix(find(headers, "content-type"), "text/event-stream")
	if s.isEvents {
		answer.ModeOverride = &modes.ProcessingMode{
			ResponseBodyMode:    modes.ProcessingMode_STREAMED,
			ResponseTrailerMode: modes.ProcessingMode_SEND,
		}
	}
	return answer
}

func (s *stream) responseBody(body *proc.HttpBody) *proc.ProcessingResponse {
	answer := &proc.ProcessingResponse{Response: &proc.ProcessingResponse_ResponseBody{
		ResponseBody: &proc.BodyResponse{Response: &proc.CommonResponse{}}}}
	if s.isEvents {
		s.readEvents(body.Body)
	} else if s.isModels {
		s.read(body.Body)
	}
	if body.EndOfStream && s.isModels {
		answer.DynamicMetadata = s.metadata()
		s.metrics.record(s)
	}
	return answer
}

func (s *stream) read(reply []byte) {
	found := gjson.GetManyBytes(reply, "usage", "model")
	if found[0].IsObject() {
		s.usage = found[0]
	}
	if found[1].Type == gjson.String {
		s.model = found[1].Str
	}
}

// readEvents reads the lines that are whole and keeps the rest.
func (s *stream) readEvents(piece []byte) {
	if len(s.line) > 0 {
		piece = append(s.line, piece...)
	}
	for {
		line, rest, isWhole := bytes.Cut(piece, []byte("\n"))
		if !isWhole {
			break
		}
		piece = rest
		data, isData := bytes.CutPrefix(line, []byte("data:"))
		if !isData || bytes.Equal(bytes.TrimSpace(data), []byte("[DONE]")) {
			continue
		}
		if s.first.IsZero() {
			s.first = time.Now()
		}
		s.read(data)
	}
	s.line = append(s.line[:0], piece...)
}

func (s *stream) metadata() *structpb.Struct {
	fields := map[string]*structpb.Value{}
	for _, wanted := range [...][2]string{
		{"llm_input_token", "prompt_tokens"}, {"llm_output_token", "completion_tokens"}, {"llm_total_token", "total_tokens"},
		{"llm_cached_input_token", "prompt_tokens_details.cached_tokens"},
	} {
		if count := s.usage.Get(wanted[1]); count.Exists() {
			fields[wanted[0]] = structpb.NewNumberValue(count.Num)
		}
	}
	if s.model != "" {
		fields["response_model"] = structpb.NewStringValue(s.model)
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"io.envoy.ai_gateway": structpb.NewStructValue(&structpb.Struct{Fields: fields})}}
}
