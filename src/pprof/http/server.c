// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/server.h"

#include <microhttpd.h>
#include <unistd.h>

#include "base/clock.h"
#include "pprof/http/call.h"
#include "pprof/http/exchange.h"
#include "pprof/http/patience.h"

enum {
    // Each address takes more than there may be: those that have to go need a moment.
    CONNECTIONS_MOST = 2 * PATIENCE_CONNECTIONS_MOST,
    IDLE_SECONDS = 10,
    STOP_SECONDS = 2,                    // for all to take their last answer
    CONNECTION_MEMORY_BYTES = 64 << 10,  // headers over this are refused
    THREAD_STACK_BYTES = 192 << 10,
    STRICT_LEVEL = 1,  // the library's: refuses what may be read in two ways
};

static struct MHD_Daemon *daemons[PPROF_ADDRESSES_MOST];

// Peers' mistakes are told to them; a line a scan would drown the log.
static void ignore_log(void *context, const char *format, va_list arguments) {
    (void)context;
    (void)format;
    (void)arguments;
}

static struct MHD_Daemon *start_daemon(int socket) {
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, call_handle, NULL,
        // first, so that nothing is printed before it holds
        MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL, MHD_OPTION_LISTEN_SOCKET, socket,
        MHD_OPTION_URI_LOG_CALLBACK, call_begin, NULL, MHD_OPTION_NOTIFY_COMPLETED, call_end, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, call_watch_connection, NULL, MHD_OPTION_CLIENT_DISCIPLINE_LVL,
        (int)STRICT_LEVEL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MOST,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
        MHD_OPTION_END);
}

// A daemon that does not start closes its socket too; those behind it are ours to close.
static enum status start_daemons(const struct listeners *listeners) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < listeners->count; i++) {
        if (status != STATUS_OK) {
            close(listeners->sockets[i]);
            continue;
        }
        daemons[i] = start_daemon(listeners->sockets[i]);
        if (daemons[i] == NULL) status = STATUS_LIBRARY;
    }
    return status;
}

enum status server_start(struct listeners *listeners) {
    enum status status = request_sleep_again();
    if (status == STATUS_OK) status = patience_start();
    if (status != STATUS_OK) {
        listeners_close(listeners);
        return status;
    }
    status = start_daemons(listeners);
    if (status != STATUS_OK) server_stop();
    return status;
}

// The library cuts off who is still being answered.
static void wait_for_last_answers(void) {
    const struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
    int64_t deadline_ns = clock_monotonic_ns() + STOP_SECONDS * NS_PER_SECOND;
    while (call_count() != 0 && clock_monotonic_ns() < deadline_ns) {
        nanosleep(&pause, NULL);
    }
}

void server_stop(void) {
    request_wake_all();
    wait_for_last_answers();
    for (size_t i = 0; i < PPROF_ADDRESSES_MOST; i++) {
        if (daemons[i] != NULL) MHD_stop_daemon(daemons[i]);
        daemons[i] = NULL;
    }
    patience_stop();
}
