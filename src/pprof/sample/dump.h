// SPDX-License-Identifier: Apache-2.0
// The goroutine profile of a C program: all its threads, each with its whole stack, its name and
// what it waits for. Threads that are parked (thread.h) are read from outside and do not notice;
// the others get one real-time signal each, whose handler writes down where they are.
#pragma once

#include "pprof/profile/source.h"

extern const struct source goroutine_source;

// Installs the signal's handler. STATUS_SYSTEM. Context: start-up.
MUST_USE enum status dump_init(void);

// Registers what is written after the threads by debug=2; NULL: nothing. Context: start-up.
void dump_append(enum status (*write)(struct buffer *out));
