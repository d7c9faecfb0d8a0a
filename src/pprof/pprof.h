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
// The library takes the signal SIGPROF for itself while it runs. Each request but the index and its
// files leaves a line of JSON on standard error; where the port opens and closes, a log line does.
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
    PPROF_DEFAULT_MAX_SECONDS = 300,
    PPROF_DEFAULT_TIMED_REQUESTS = 16,
    PPROF_TIMED_REQUESTS_MOST = 48,
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
    // Goes into the comments of each profile; borrowed for ever, as all texts here; NULL: none.
    const char *version;

    // Who may look. For each text, "" is the same as NULL.

    // A file of tokens, `NAME:TOKEN` or plain `TOKEN`, one a line (16 to 256 letters, digits and
    // -._~). It is read for each request, so that a change holds at once. NULL: none is asked for.
    const char *token_file;
    // Ask for a token on loopback, too; elsewhere it is always asked for.
    bool auth_loopback;
    // Host names, with commas, under which the endpoint may be addressed besides localhost and IP
    // addresses.
    const char *allowed_hosts;
    // Which profiles are served: `heap,profile` names all of them, `-cmdline` all that are not.
    const char *profiles;
    // The longest that ?seconds= may ask for. 0: PPROF_DEFAULT_MAX_SECONDS.
    int64_t max_seconds;
    // Requests with ?seconds= at the same time, up to PPROF_TIMED_REQUESTS_MOST. 0: the default.
    uint32_t timed_requests;
    // A file that opens the port by saying `on` and closes it by anything else, also by not being
    // there; looked at once a second. NULL: the port is open.
    const char *switch_file;
};

struct pprof_statistics {
    bool is_serving;
    uint64_t ticks_recorded;     // CPU sampling periods, since the start of the process
    uint64_t ticks_dropped;      // lost because nobody fetched them in time
    uint64_t threads_unsampled;  // that got no timer (RLIMIT_SIGPENDING)
    uint64_t requests;           // answered, errors included
    uint32_t cpu_profiles;       // running now
    uint32_t timed_requests;     // running now: those, and differences over some seconds
    int64_t timed_ns;            // that all have lasted that are over
    // Where it listens, as "127.0.0.1:6060"; the ports that were bound, also for port 0.
    char addresses[PPROF_ADDRESSES_MOST][PPROF_ADDRESS_BYTES];
    size_t address_count;
};

// True if DISABLE_PPROF is in the environment. Context: any thread.
PPROF_API bool pprof_is_disabled(void);

// Starts serving; registers the calling thread, which must be the process's first. 0, or a negative
// errno with the reason in `ret_message` (-EADDRINUSE: somebody else has the port; -EINVAL: an
// option is bad, and its setting is named). A failure leaves nothing running, and the program can
// go on without. Does nothing and returns 0 when disabled. Context: start-up.
PPROF_API int pprof_start(const struct pprof_options *options,
                          char ret_message[PPROF_MESSAGE_BYTES]);

// Ends profiles under way (their clients get what there is), closes the sockets, waits for the
// threads. Harmless when it was not started. Context: the thread that started it.
PPROF_API void pprof_stop(void);

// Labels: what a thread works on, as key=value pairs that its samples carry (CPU, heap, waits).
// `go tool pprof -tagfocus key=value` selects by them.

enum { PPROF_LABELS_MOST = 4 };

struct pprof_label {
    const char *key;    // up to 15 bytes, the rest is cut
    const char *value;  // up to 63 bytes, the rest is cut
};

// The number of a set of up to PPROF_LABELS_MOST labels; equal sets have the same. Never 0. At most
// 255 sets are told apart; every further one has the values "other". Context: any thread.
PPROF_API uint32_t pprof_labels_intern(const struct pprof_label *labels, size_t count);

// The set `before` (0: the empty one) with this label besides, in the place of one of the same key:
// for what becomes known bit by bit. The key is static text. `is_known`: no mere claim of a client;
// claims get half of the sets at most, and past that the value is "other" until it was added as
// known. Tens of nanoseconds from the second time on. Context: any thread.
PPROF_API uint32_t pprof_labels_add(uint32_t before, const char *key, const char *value,
                                    size_t value_bytes, bool is_known);

// From now on the calling thread works on what the number stands for (0: nothing); returns what was
// in force, for pprof_labels_pop. Nanoseconds. Context: any thread, signal.
PPROF_API uint32_t pprof_labels_push(uint32_t set);
PPROF_API void pprof_labels_pop(uint32_t before);

// A profile of the program's own, as Go's runtime/pprof.NewProfile: listed, subtracted and printed
// like the others.

struct pprof_collector;
struct pprof_writer;

struct pprof_profile {
    const char *name;         // of the path; lower-case letters
    const char *description;  // for the index page, HTML
    // The one or two values of a sample, and their units: {"streams", "count"}.
    struct {
        const char *type, *unit;
    } values[2];
    // Calls pprof_collector_add for everything there is now. Context: any thread.
    void (*collect)(struct pprof_collector *collector, void *context);
    // Writes what goroutine?debug=2 shows after the threads; NULL: nothing. Context: any thread.
    void (*write_dump)(struct pprof_writer *writer, void *context);
    void *context;
};

// One more of what `frames` say, innermost first, with these values; equal ones are added up. The
// frames are names, not addresses: static text. `labels`: a number of pprof_labels_intern, or 0.
PPROF_API void pprof_collector_add(struct pprof_collector *collector, const char *const *frames,
                                   size_t frame_count, const int64_t values[2], uint32_t labels);

PPROF_API void pprof_write(struct pprof_writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The value of a label of a set, for dumps; "" if it has no such key. Context: any thread.
PPROF_API const char *pprof_labels_value(uint32_t set, const char *key);

// Adds the profile; the struct is the caller's and stays. 0, -EEXIST: the name is taken, -ENOSPC.
// Does nothing and returns 0 when disabled. Context: start-up, before pprof_start: once it serves,
// the list stays.
PPROF_API int pprof_profile_add(const struct pprof_profile *profile);

// Context: any thread.
PPROF_API void pprof_read_statistics(struct pprof_statistics *ret_statistics);

// Calls `visit` for each profile and HTTP status that there were requests of (`other`: none of the
// profiles; 0: the client left before there was an answer). Context: any thread.
PPROF_API void pprof_visit_requests(void (*visit)(const char *profile, unsigned status,
                                                  uint64_t count, void *context),
                                    void *context);

// Calls `visit` for each reason why a request or a connection is refused. Context: any thread.
PPROF_API void pprof_visit_refusals(void (*visit)(const char *reason, uint64_t count,
                                                  void *context),
                                    void *context);

#ifdef __cplusplus
}
#endif
