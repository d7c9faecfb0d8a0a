// SPDX-License-Identifier: Apache-2.0
// How long a connection may take for its next step. The HTTP library only closes connections that
// are silent; one that drips a byte now and then would keep its place for ever.
//
// One thread waits for the nearest deadline and shuts that connection down; it sleeps while there
// is none.
#pragma once

#include "base/status.h"

struct patience;

// Starts and ends the thread. Context: start-up; nobody else may be inside.
MUST_USE enum status patience_start(void);
void patience_stop(void);

// Watches a connection's socket from now on; NULL without memory, which is no reason to refuse it.
// Every following call accepts that NULL. Context: any thread.
struct patience *patience_new(int socket);

// From now on `seconds` until patience_set is called again, or the socket is shut down; 0: for
// ever. Context: any thread.
void patience_set(struct patience *patience, int64_t seconds);

// Before the socket is closed.
void patience_free(struct patience *patience);
