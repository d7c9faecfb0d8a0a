// SPDX-License-Identifier: Apache-2.0
// What the profiling endpoint counts, for the processor's /metrics: the two do not know each other.
#pragma once

#include "base/bytes.h"

// Appends it as Prometheus text; what finds no memory is left out. Context: any thread.
void pprof_metrics_write(struct buffer *text, void *unused);
