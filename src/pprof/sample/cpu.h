// SPDX-License-Identifier: Apache-2.0
// CPU profiling: a timer on the CPU clock of each thread, at 100 Hz, while at least one window is
// open; all open windows share the one stream of ticks. With no window open there is no timer, no
// memory and no signal.
//
// A sample weighs one period plus the timer's overruns, so nothing is lost where signals are late;
// timers begin at a random phase, so that threads that live shorter than a period count right on
// average. CPU timers fire on the kernel's scheduler tick: a higher rate would only raise weights.
#pragma once

#include "pprof/profile/store.h"

// Distinct stacks of one window take at most this much; what does not fit is counted as lost.
enum { CPU_WINDOW_BYTES_MOST = 64 << 20 };

enum { CPU_HZ = 100, CPU_PERIOD_NS = 1000000000 / CPU_HZ };

// A window's samples have two values.
enum { CPU_VALUE_SAMPLES, CPU_VALUE_NS };

struct cpu_window {
    struct store store;
    int64_t start_wall_ns, start_ns;
    uint64_t dropped_at_start;
    int64_t cut_count;      // stacks that did not reach the thread's start
    int64_t refused_count;  // periods that no memory was had for
    struct cpu_window *next;
};

// Installs the signal handler and says how many windows may be open at once. Context: start-up.
MUST_USE enum status cpu_init(uint32_t windows_most);

// Starts to collect into `window` (contents: overwritten). STATUS_BUSY: all windows are taken.
// STATUS_NO_MEMORY, STATUS_SYSTEM. Context: any thread.
MUST_USE enum status cpu_window_open(struct cpu_window *window);

// Moves waiting ticks into the open windows. Whoever has a window open calls it a few times a
// second; any of them serves all. Context: any thread.
void cpu_drain(void);

// Ends collecting; window->store holds the result, lost ticks under a frame named pprof_lost_ticks.
// The caller frees it by store_done. Context: any thread.
void cpu_window_close(struct cpu_window *window);

// Threads that got no timer, so were missing from a profile, since the start. Context: any thread.
uint64_t cpu_unsampled_count(void);

// Windows that are open. Context: any thread.
uint32_t cpu_window_count(void);
