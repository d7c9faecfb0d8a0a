// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// kind is what a stream says, message by message, and how many answers each of them gets.
type kind struct {
	name         string
	weight       int // among all
	method       string
	isCompressed bool // by gRPC, which is refused
	messages     []message
}

type message struct {
	bytes   []byte
	answers int
}

func pick(random *rand.Rand, kinds []kind) int {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := random.IntN(total)
	for i, k := range kinds {
		if at -= k.weight; at < 0 {
			return i
		}
	}
	panic("unreachable")
}

func pack(t *testing.T, request *extprocv3.ProcessingRequest) []byte {
	t.Helper()
	packed, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func fields(pairs ...string) *extprocv3.HttpHeaders {
	headers := &corev3.HeaderMap{}
	for i := 0; i < len(pairs); i += 2 {
		headers.Headers = append(headers.Headers, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return &extprocv3.HttpHeaders{Headers: headers}
}

func kinds(t *testing.T) []kind {
	const chat = "/v1/chat/completions"
	asked := func(method, path string, mode filterv3.ProcessingMode_BodySendMode) *extprocv3.ProcessingRequest {
		return &extprocv3.ProcessingRequest{
			Request: &extprocv3.ProcessingRequest_RequestHeaders{
				RequestHeaders: fields(":method", method, ":path", path, "x-ai-eg-model", "spoofed", "x-request-id", strings.Repeat("i", 36)),
			},
			ProtocolConfig: &extprocv3.ProtocolConfiguration{RequestBodyMode: mode, ResponseBodyMode: mode},
		}
	}
	headers := func(method, path string, mode filterv3.ProcessingMode_BodySendMode, answers int) message {
		return message{pack(t, asked(method, path, mode)), answers}
	}
	body := func(text string, isLast bool, answers int) message {
		return message{pack(t, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
			RequestBody: &extprocv3.HttpBody{Body: []byte(text), EndOfStream: isLast},
		}}), answers}
	}
	replyHeaders := func(pairs ...string) message {
		return message{pack(t, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: fields(pairs...)}}), 1}
	}
	reply := func(text string, isLast bool) message {
		return message{pack(t, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{
			ResponseBody: &extprocv3.HttpBody{Body: []byte(text), EndOfStream: isLast},
		}}), 1}
	}
	request := func(size int, stream bool) string {
		return fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"stream":%t,"model":"m"}`, strings.Repeat("x", size), stream)
	}
	const usage = `"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":2}}`
	const whole = `{"id":"1","model":"m-2","choices":[{"message":{"content":"hello"}}],` + usage + `}`
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	writer.Write([]byte(whole))
	writer.Close()

	const buffered, duplex = filterv3.ProcessingMode_BUFFERED, filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	good := []message{headers("POST", chat, buffered, 1), body(request(900, false), true, 1)}
	events := append([]message{headers("POST", chat, buffered, 1), body(request(900, true), true, 1)},
		replyHeaders(":status", "200", "content-type", "text/event-stream"))
	for i := range 12 {
		// Cut anywhere, and sometimes several at once.
		events = append(events, reply(strings.Repeat(fmt.Sprintf("data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\ndata", i), 1+i%3), false))
	}
	events = append(events, reply("data: {\"choices\":[],"+usage+"}\n\ndata: [DONE]\n\n", false), reply("", true))
	pieces := []message{headers("POST", chat, duplex, 0)}
	text := request(200<<10, false)
	for len(text) > 64<<10 {
		pieces = append(pieces, body(text[:64<<10], false, 0))
		text = text[64<<10:]
	}
	pieces = append(pieces, body(text, true, 2)) // what was held is answered, too

	upstream := asked("POST", chat, buffered)
	attributes, err := structpb.NewStruct(map[string]any{"xds.upstream_host_metadata.filter_metadata['aigateway.envoy.io']['per_route_rule_backend_name']": "ns/b/route/r/rule/0/ref/0"})
	if err != nil {
		t.Fatal(err)
	}
	upstream.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": attributes}
	observed := asked("POST", chat, buffered)
	observed.ObservabilityMode = true

	return []kind{
		{"JSON", 30, process, false, append(slice(good), replyHeaders(":status", "200", "content-type", "application/json"), reply(whole, true))},
		{"gzip", 10, process, false, append(slice(good), replyHeaders(":status", "200", "content-type", "application/json", "content-encoding", "gzip"),
			reply(zipped.String(), true))},
		{"events", 25, process, false, events},
		{"32 KB", 8, process, false, []message{headers("POST", chat, buffered, 1), body(request(32<<10, false), true, 1)}},
		{"1 MB", 1, process, false, []message{headers("POST", chat, buffered, 1), body(request(1<<20, true), true, 1)}},
		{"duplex", 4, process, false, pieces},
		{"malformed", 6, process, false, []message{headers("POST", chat, buffered, 1), body(`{"model":`, true, 1), reply("x", true)}},
		{"503", 4, process, false, append(slice(good), replyHeaders(":status", "503", "content-type", "text/plain"))},
		{"models", 4, process, false, []message{headers("GET", "/v1/models", buffered, 1), reply("x", true)}},
		{"passed", 4, process, false, []message{headers("POST", "/elsewhere", buffered, 1)}},
		{"upstream", 8, process, false, []message{{pack(t, upstream), 1}}},
		{"observed", 2, process, false, []message{{pack(t, observed), 0}}},
		{"nonsense", 2, process, false, []message{{[]byte("\xff\xff\xff"), 1}}},
		{"compressed", 2, process, true, []message{headers("POST", chat, buffered, 1)}},
		{"health", 4, "/grpc.health.v1.Health/Check", false, []message{{nil, 1}}},
		{"watch", 2, watch, false, []message{{nil, 1}}},
		{"unknown", 2, "/no.such.Service/Method", false, []message{{nil, 1}}},
	}
}

// slice is a copy that may be appended to.
func slice(messages []message) []message {
	return append([]message(nil), messages...)
}
