// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modes "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	proc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"
)

// Kinds are the requests that can be asked for: a chat completion of so many bytes that is answered
// with JSON, or one that is answered as server-sent events.
var Kinds = []string{"1k", "32k", "1m", "sse"}

// Events is how many chunks the reply of kind sse has, the last with the usage and [DONE] included.
const Events = 200

// What the processor has to find in every kind.
const (
	Model        = "model-a"
	InputTokens  = 2048
	CachedTokens = 1024
	TotalTokens  = 2304
)

var sizes = map[string]int{"1k": 1 << 10, "32k": 32 << 10, "1m": 1 << 20, "sse": 1 << 10}

// RequestBody is a chat completion of about the kind's size: many messages first, then the model, as
// OpenAI's client for Python sends them.
func RequestBody(kind string) []byte {
	const sentence = `The quick brown fox says \"jumps\" over the lazy dog \u2014 and then,\nwithout haste, over the next one. `
	tail := fmt.Sprintf(`],"model":%q,"temperature":0.7,"max_tokens":256}`, Model)
	if kind == "sse" {
		tail = fmt.Sprintf(`],"model":%q,"stream":true,"stream_options":{"include_usage":true}}`, Model)
	}
	var body strings.Builder
	body.WriteString(`{"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	for body.Len()+len(tail) < sizes[kind]-100 {
		count := min(32, (sizes[kind]-body.Len()-len(tail))/len(sentence))
		fmt.Fprintf(&body, `,{"role":"user","content":"%s"}`, strings.Repeat(sentence, max(count, 1)))
	}
	body.WriteString(tail)
	if !json.Valid([]byte(body.String())) {
		panic("load: not JSON")
	}
	return []byte(body.String())
}

var usage = fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,`+
	`"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},`+
	`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
	InputTokens, TotalTokens-InputTokens, TotalTokens, CachedTokens)

// ReplyBody is the backend's reply in the pieces that Envoy hands over.
func ReplyBody(kind string) [][]byte {
	const head = `"id":"chatcmpl-CNq6mSgJ9k2fXyqYxS0XbN1Zq7oQa","created":1760000000,"model":"model-a-2026-01-01","service_tier":"default"`
	if kind != "sse" {
		return [][]byte{[]byte(`{` + head + `,"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"` +
			strings.Repeat("Of course. ", 24) + `","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],` + usage + `}`)}
	}
	var pieces [][]byte
	for i := range Events - 1 {
		pieces = append(pieces, fmt.Appendf(nil, "data: {%s,\"object\":\"chat.completion.chunk\","+
			"\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word%d\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n", head, i))
	}
	return append(pieces, []byte("data: {"+head+",\"object\":\"chat.completion.chunk\",\"choices\":[],"+usage+"}\n\ndata: [DONE]\n\n"))
}

// script is what Envoy sends on a stream, each step after the answer to the one before, and what it
// asks for: serialised, behind gRPC's prefix.
func script(kind string) [][]byte {
	body, reply := RequestBody(kind), ReplyBody(kind)
	first := &proc.ProcessingRequest{
		Request: &proc.ProcessingRequest_RequestHeaders{RequestHeaders: headers(
			":authority", "gateway.example", ":path", "/v1/chat/completions", ":method", "POST", ":scheme", "https",
			"user-agent", "OpenAI/Python 2.8.1", "accept", "application/json", "accept-encoding", "gzip, deflate",
			"content-type", "application/json", "content-length", fmt.Sprint(len(body)),
			"authorization", "Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyz", "x-stainless-lang", "python",
			"x-forwarded-for", "10.1.2.3", "x-forwarded-proto", "https",
			"x-request-id", "6f1c7ad0-3a3a-4c39-9a31-5d0c3f1b2e4d")},
		ProtocolConfig: &proc.ProtocolConfiguration{
			RequestBodyMode:  modes.ProcessingMode_BUFFERED,
			ResponseBodyMode: modes.ProcessingMode_BUFFERED,
		},
	}
	type_ := "application/json"
	if kind == "sse" {
		type_ = "text/event-stream; charset=utf-8"
	}
	responseHeaders := headers(
		":status", "200", "date", "Tue, 24 Nov 2026 12:00:00 GMT", "content-type", type_, "server", "uvicorn",
		"openai-processing-ms", "412", "x-request-id", "req_0123456789abcdef0123456789abcdef",
		"x-envoy-upstream-service-time", "413")
	if kind != "sse" {
		length := &core.HeaderValue{Key: "content-length", RawValue: fmt.Append(nil, len(reply[0]))}
		responseHeaders.Headers.Headers = append(responseHeaders.Headers.Headers, length)
	}
	steps := []*proc.ProcessingRequest{first,
		{Request: &proc.ProcessingRequest_RequestBody{RequestBody: &proc.HttpBody{Body: body, EndOfStream: true}}},
		{Request: &proc.ProcessingRequest_ResponseHeaders{ResponseHeaders: responseHeaders}},
	}
	for i, piece := range reply {
		steps = append(steps, responseBody(piece, kind != "sse" && i == len(reply)-1))
	}
	if kind == "sse" {
		steps = append(steps, responseBody(nil, true))
	}
	var serialised [][]byte
	for _, step := range steps {
		step.MetadataContext = &core.Metadata{} // Envoy's are there, and empty
		message, err := proto.MarshalOptions{Deterministic: true}.Marshal(step)
		if err != nil {
			panic(err)
		}
		prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
		serialised = append(serialised, append(prefix, message...))
	}
	return serialised
}

// bodyStep is the place of the request's body in the script.
const bodyStep = 1

// withModel is the body with the name of another model, of the same length.
func withModel(body []byte, number int) []byte {
	named := bytes.Clone(body)
	place := bytes.LastIndex(named, []byte(`"`+Model+`"`)) + 1
	copy(named[place:place+len(Model)], fmt.Sprintf("m%06d", number))
	return named
}

func responseBody(body []byte, isEnd bool) *proc.ProcessingRequest {
	return &proc.ProcessingRequest{Request: &proc.ProcessingRequest_ResponseBody{
		ResponseBody: &proc.HttpBody{Body: body, EndOfStream: isEnd}}}
}

func headers(pairs ...string) *proc.HttpHeaders {
	var list []*core.HeaderValue
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, &core.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return &proc.HttpHeaders{Headers: &core.HeaderMap{Headers: list}}
}
