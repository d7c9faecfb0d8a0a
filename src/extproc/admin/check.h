// SPDX-License-Identifier: Apache-2.0
// Asks a gRPC listener, over its real socket, whether it serves.
#pragma once

#include "extproc/listen/address.h"

// What check_listener returns if the listener took the connection and closed it without an answer,
// as it does past --connections.
extern const char check_closed[];

// NULL: it answered SERVING before `deadline_ns` of the monotonic clock. Otherwise why not, as a
// static sentence. Context: any thread; blocks.
const char *check_listener(const struct listen_socket *socket, int64_t deadline_ns);
