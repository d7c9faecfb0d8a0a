// SPDX-License-Identifier: Apache-2.0
// One gRPC call on one HTTP/2 stream: checks its headers, cuts its body into messages, hands them
// to the method, sends the answers and the status.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
#pragma once

#include "extproc/grpc/method.h"
#include "extproc/http2/session.h"

// The handler for http2_session_new; its context is the worker's struct grpc_server.
//
// grpc-timeout is not obeyed. "Servers may also enforce the deadline" is all that gRPC asks, and
// the client ends the stream itself when its time is up: a peer that is gone is found by PING. To
// cut a stream of Envoy's at a moment of our own would only turn a late answer into an error.
//
// Messages of the peer are never compressed, because we announce no grpc-accept-encoding.
extern const struct http2_handler grpc_call_handler;

// Tells the calls that watch the server's phase that it may have changed. Then the connections have
// something to send.
void grpc_calls_wake(struct grpc_server *server);
