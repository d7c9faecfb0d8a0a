// SPDX-License-Identifier: Apache-2.0
// Which profiles and endpoints are served: a list `heap,profile` names all of them, `-cmdline` all
// that are not. The index is always served.
#pragma once

#include "base/bytes.h"
#include "pprof/pprof.h"

// `list`: NULL or "": all; borrowed for ever. 0; or -EINVAL and the reason, if a name on it is no
// profile: a mistyped one would leave open what it was to close. Context: start-up, when all
// profiles are there.
int served_init(const char *list, char ret_message[PPROF_MESSAGE_BYTES]);

// Context: any thread.
bool served_has(const char *name);
