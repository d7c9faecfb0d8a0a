// SPDX-License-Identifier: Apache-2.0
// The methods that are served, as one table; to add one, add a row.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"
#include "extproc/budget.h"
#include "extproc/grpc/status.h"
#include "extproc/metrics.h"
#include "extproc/process/process.h"
#include "extproc/streams.h"

// Where the server stands in its life; it never goes back.
enum grpc_phase {
    GRPC_SERVING,
    GRPC_DRAINING,  // new calls are still taken, but health checks are told to look elsewhere
    GRPC_CLOSING,   // calls in flight may finish; those that only watch are ended
};

struct call;

// What all calls of one worker share. Borrowed; outlives the calls.
struct grpc_server {
    const struct process_options *process;
    struct metrics *metrics;  // the worker's own
    int64_t now_ns;           // when what is worked on was read, of a clock that never goes back
    struct budget *budget;
    struct budget *streams_budget;  // one for each call of Process
    const atomic_int *phase;        // enum grpc_phase
    struct call *watching;          // calls whose method has `wake`; loop thread only
    struct stream_list *streams;    // where calls of Process are listed; NULL: nowhere
};

// What a method says to a message.
struct grpc_verdict {
    bool has_answer;  // a message was appended to `answer`
    bool has_more;    // `more` has the next one
    bool owes_all;    // a message that is not taken from now on would be lost
    bool ends_call;   // after the answer, with:
    enum grpc_status status;
    const char *text;  // static printable ASCII without '%', which grpc-message takes as it is
};

// Why a message is not collected.
enum grpc_refusal {
    GRPC_REFUSAL_TOO_LARGE,   // over message_most_bytes
    GRPC_REFUSAL_OVERLOADED,  // there is no memory for it now
};

struct grpc_method {
    const char *path;
    bool takes_one;  // message; a call that ends without it is an error
    size_t (*message_most_bytes)(const struct grpc_server *server);
    // What is in the arena lives until `close` has returned. STATUS_NO_MEMORY; STATUS_BUSY: there
    // are too many, `turn_away` says it.
    enum status (*open)(const struct grpc_server *server, struct arena *arena, void **ret_state);
    // Instead of the rest; ends the call. NULL where open is never busy.
    struct grpc_verdict (*turn_away)(const struct grpc_server *server, struct buffer *answer);
    struct grpc_verdict (*receive)(void *state, struct bytes message, struct buffer *answer);
    // The next answer, after a verdict with has_more; NULL where there is none such.
    struct grpc_verdict (*more)(void *state, struct buffer *answer);
    // Instead of receive, for a message that is not collected; always ends the call.
    struct grpc_verdict (*refuse)(void *state, enum grpc_refusal why, struct buffer *answer);
    // The phase may have changed. A call of such a method goes on when its client has said all.
    // NULL: nobody wants to know.
    struct grpc_verdict (*wake)(void *state, struct buffer *answer);
    void (*close)(void *state);
};

// NULL: there is none.
const struct grpc_method *grpc_method_find(struct bytes path);
