// SPDX-License-Identifier: Apache-2.0
// The codes of gRPC that we send.
// https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
#pragma once

enum grpc_status {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_NOT_FOUND = 5,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
};
