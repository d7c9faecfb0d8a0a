// SPDX-License-Identifier: Apache-2.0
// One gRPC call on one HTTP/2 stream: checks its headers, cuts its body into messages, hands them
// to the method, sends the answers and the status.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
#pragma once

#include "extproc/grpc/method.h"
#include "extproc/http2/session.h"

// The handler for http2_session_new; its context is the worker's struct grpc_server.
//
// grpc-timeout is not obeyed: Envoy sets none on ext_proc streams, and a health check is answered
// at once. Messages of the peer are never compressed, because we announce no grpc-accept-encoding.
extern const struct http2_handler grpc_call_handler;
