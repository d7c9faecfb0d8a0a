// SPDX-License-Identifier: Apache-2.0
// A profiling endpoint for C programs: what Go's net/http/pprof is for Go.
//
//     char message[PPROF_MESSAGE_BYTES];
//     if (pprof_start(&(struct pprof_options){.address = "localhost:6060"}, message) != 0) ...
//
// and then, from a browser, curl, or Go's tool:
//
//     http://localhost:6060/debug/pprof/
//     go tool pprof http://localhost:6060/debug/pprof/profile?seconds=10
//
// Call pprof_start first in main, before there are other threads. The program must be linked with
// --wrap=NAME for each name in the file `wrapped` beside this one, and built (libraries included)
// with -fno-omit-frame-pointer and -fasynchronous-unwind-tables; -g1 is enough for names.
//
// With DISABLE_PPROF in the environment, whatever its value, pprof_start does nothing at all: no
// thread, no socket, no timer, no sampling.
//
// The library takes the signal SIGPROF for itself while it runs.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PPROF_API __attribute__((visibility("default")))

enum {
    PPROF_MESSAGE_BYTES = 256,
    PPROF_ADDRESSES_MOST = 2,
    PPROF_ADDRESS_BYTES = 64,
    PPROF_DEFAULT_CPU_WINDOWS = 4,
    PPROF_DEFAULT_BLOCK_RATE_NS = 10000,
    PPROF_DEFAULT_MUTEX_FRACTION = 10,
};

struct pprof_options {
    // "localhost:6060": 127.0.0.1 and ::1, a socket each; a missing IPv6 is no error. ":6060" or
    // "0.0.0.0:6060": every address. "127.0.0.1:0": a free port. NULL: "localhost:6060".
    const char *address;
    // CPU profiles that may run at the same time; one more gets Go's "already in use" error.
    // 1 is exactly Go. 0: PPROF_DEFAULT_CPU_WINDOWS.
    uint32_t cpu_windows;
    // Waits of at least this many nanoseconds are all in the block profile; shorter ones are
    // sampled in proportion to their length. 0: no block profile.
    int64_t block_rate_ns;
    // One of so many contentions is in the mutex profile, and counts as many. 0: no mutex profile.
    int64_t mutex_fraction;
};

struct pprof_statistics {
    bool is_serving;
    uint64_t ticks_recorded;     // CPU sampling periods, since the start of the process
    uint64_t ticks_dropped;      // lost because nobody fetched them in time
    uint64_t threads_unsampled;  // that got no timer (RLIMIT_SIGPENDING)
    uint64_t requests;           // answered, errors included
    // Where it listens, as "127.0.0.1:6060"; the ports that were bound, also for port 0.
    char addresses[PPROF_ADDRESSES_MOST][PPROF_ADDRESS_BYTES];
    size_t address_count;
};

// True if DISABLE_PPROF is in the environment. Context: any thread.
PPROF_API bool pprof_is_disabled(void);

// Starts serving; registers the calling thread, which must be the process's first. 0, or a negative
// errno with the reason in `ret_message` (-EADDRINUSE: somebody else has the port; -EINVAL: the
// address is none). A failure leaves nothing running, and the program can go on without. Does
// nothing and returns 0 when disabled. Context: start-up.
PPROF_API int pprof_start(const struct pprof_options *options,
                          char ret_message[PPROF_MESSAGE_BYTES]);

// Ends profiles under way (their clients get what there is), closes the sockets, waits for the
// threads. Harmless when it was not started. Context: the thread that started it.
PPROF_API void pprof_stop(void);

// Context: any thread.
PPROF_API void pprof_read_statistics(struct pprof_statistics *ret_statistics);

#ifdef __cplusplus
}
#endif
