// SPDX-License-Identifier: Apache-2.0
// The HTTP server of operators: GET /health and GET /metrics. Small and bounded: a thread for each
// connection, few connections at once, fewer from one address, none that is silent for long.
#pragma once

#include "base/bytes.h"
#include "base/status.h"
#include "extproc/listen/address.h"

enum { ADMIN_REASON_BYTES = 128 };

// Called by several threads at once.
struct admin_handlers {
    // True: healthy. False: `reason` says why not, in one sentence.
    bool (*is_healthy)(void *context, char reason[ADMIN_REASON_BYTES]);
    // Appends the metrics as Prometheus text 0.0.4.
    enum status (*write_metrics)(void *context, struct buffer *text);
    void *context;
};

struct admin;

// Takes over the socket, also when it fails: then it is closed. Context: start-up.
MUST_USE enum status admin_start(const struct listen_socket *socket,
                                 const struct admin_handlers *handlers, struct admin **ret_admin);

// Answers what is under way, then ends. Accepts NULL. Context: the thread that started it, once.
void admin_free(struct admin *admin);
