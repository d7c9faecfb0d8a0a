// SPDX-License-Identifier: Apache-2.0
// The HTTP server around the endpoints: libmicrohttpd, a thread a connection, bounded. With
// call.c and response.c the only file of the library that knows it.
#pragma once

#include "base/status.h"
#include "pprof/http/address.h"

// Serves on the sockets, which it takes over in any case. STATUS_LIBRARY, STATUS_SYSTEM: nothing is
// served, and they are closed. Context: start-up.
MUST_USE enum status server_start(struct listeners *listeners);

// Ends running profiles, closes the sockets, waits for the threads. Context: as server_start.
void server_stop(void);
