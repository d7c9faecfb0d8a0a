// SPDX-License-Identifier: Apache-2.0

// Package grpc asks: does the gRPC port keep to the rules, and do the usual clients work with it?
package grpc

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"extproc/tests/internal/rig"
)

const (
	// nghttp2 keeps nothing of a stream that is closed, so it cannot tell how it was closed, and drops what
	// comes late on it, as RFC 9113, 5.1 has it for a while after a reset. In 5.1/5, 5.1/6 and 6.1/2 it is a race
	// whether the reply has closed the stream before the frame comes.
	closed = "nghttp2 forgets closed streams and ignores what comes late on them"
	// RFC 9113 has no priorities; SETTINGS_NO_RFC7540_PRIORITIES (RFC 9218) says that we ignore PRIORITY.
	priority = "PRIORITY is ignored, as SETTINGS_NO_RFC7540_PRIORITIES says"
)

// What may fail, with the reason. Everything else must pass.
var excused = map[string]string{
	"http2/5.1/5": closed, "http2/5.1/6": closed, "http2/5.1/8": closed, "http2/5.1/9": closed, "http2/5.1/11": closed,
	"http2/5.1/12": closed, "http2/5.1.1/2": closed, "http2/6.1/2": closed,
	"http2/5.1.2/1": "h2spec counts on streams that stay open; each of its requests may be answered before the next",
	"http2/5.3.1/2": priority, "http2/6.3/1": priority,
}

func TestH2spec(t *testing.T) {
	extproc := rig.StartExtproc(t)
	host, port, _ := net.SplitHostPort(extproc.GRPC)
	number, _ := strconv.Atoi(port)
	settings := &config.Config{
		Host: host, Port: number, Path: "/", Timeout: 2 * time.Second, MaxHeaderLen: 4000, Strict: true,
	}
	groups := []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()}

	// It draws on the screen.
	screen := os.Stdout
	os.Stdout, _ = os.Open(os.DevNull)
	for _, group := range groups {
		group.Test(settings)
	}
	os.Stdout = screen

	passed := 0
	for _, group := range groups {
		passed += judge(t, group)
	}
	t.Logf("%d cases passed", passed)
	if passed < 130 {
		t.Errorf("only %d cases passed: is that all of h2spec?", passed)
	}
	if status, body := extproc.Get("/health"); status != 200 {
		t.Errorf("after all that, /health is %d: %s", status, body)
	}
}

func judge(t *testing.T, group *spec.TestGroup) (passed int) {
	for _, inner := range group.Groups {
		passed += judge(t, inner)
	}
	for i, one := range append(group.Tests, group.StrictTests...) {
		name := fmt.Sprintf("%s/%d", group.ID(), i+1)
		switch reason, isExcused := excused[name]; {
		case one.Result == nil || one.Result.Skipped:
			t.Errorf("%s was not run: %s", name, one.Desc)
		case !one.Result.Failed:
			passed++
		case isExcused:
			t.Logf("%s failed, excused: %s. %s", name, one.Desc, reason)
		default:
			t.Errorf("%s failed: %s\n%s\n%v", name, one.Desc, one.Requirement, one.Result.Error)
		}
	}
	return passed
}
