// SPDX-License-Identifier: Apache-2.0
// The threadcreate profile: the stack of each pthread_create that succeeded.
#pragma once

#include "pprof/profile/source.h"

extern const struct source threadcreate_source;

// Counts one more thread, created by the function whose frame record `frame` is. Context: any
// thread.
void create_record(const void *frame);
