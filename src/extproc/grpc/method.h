// SPDX-License-Identifier: Apache-2.0
// The methods that are served, as one table; to add one, add a row.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "extproc/grpc/budget.h"
#include "extproc/grpc/status.h"
#include "extproc/metrics.h"
#include "extproc/process/process.h"
#include "extproc/streams.h"

// What all calls of one worker share. Borrowed; outlives the calls.
struct grpc_server {
    const struct process_options *process;
    struct metrics *metrics;  // the worker's own
    struct budget *budget;
    const atomic_bool *is_draining;
    struct stream_list *streams;  // where calls of Process are listed; NULL: nowhere
};

// What a method says to a message.
struct grpc_verdict {
    bool has_answer;  // a message was appended to `answer`
    bool ends_call;   // after the answer, with:
    enum grpc_status status;
    const char *text;  // static printable ASCII without '%', which grpc-message takes as it is
};

struct grpc_method {
    const char *path;
    bool is_unary;  // a call that ends without a message is an error
    size_t (*message_most_bytes)(const struct grpc_server *server);
    // NULL: no memory.
    void *(*open)(const struct grpc_server *server);
    struct grpc_verdict (*receive)(void *state, struct bytes message, struct buffer *answer);
    // Instead of receive, for a message over the limit; always ends the call.
    struct grpc_verdict (*refuse)(void *state, struct buffer *answer);
    void (*close)(void *state);
};

// NULL: there is none.
const struct grpc_method *grpc_method_find(struct bytes path);
