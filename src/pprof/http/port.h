// SPDX-License-Identifier: Apache-2.0
// The port: opened and closed, once or, where a file says so, again and again while the program
// runs.
#pragma once

#include "pprof/http/address.h"

// Where the switch is given: it is looked at once a second. Only a file that says `on` opens the
// port (also `true`, `1` or `enabled`, in any case, with space around it); anything else closes it,
// also a file that is not there or cannot be read: what was to be shut must not come open by a
// mistake.
//
// Closing ends profiles under way, whose clients get what there is, and then the connections.

// Opens the port, or begins to watch the switch. `address`, `file` (NULL or "": none):
// borrowed until port_stop. 0; -EINVAL: the address is none; with a switch, nothing else is a
// failure: it is logged and tried again. Else as listeners_open. Context: start-up.
int port_start(const char *address, const char *file, char ret_message[PPROF_MESSAGE_BYTES]);

// Closes it, for good. Harmless when it was not started. Context: the thread that started it.
void port_stop(void);

// Where it listens now; `count` 0: it is closed. Context: any thread.
void port_read(struct listeners *ret_listeners);
