// SPDX-License-Identifier: Apache-2.0
#include "pprof/pprof.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "pprof/http/address.h"
#include "pprof/http/comments.h"
#include "pprof/http/server.h"
#include "pprof/profile/reserve.h"
#include "pprof/profile/source.h"
#include "pprof/sample/contention.h"
#include "pprof/sample/cpu.h"
#include "pprof/sample/create.h"
#include "pprof/sample/dump.h"
#include "pprof/sample/heap.h"
#include "pprof/sample/thread.h"
#include "pprof/sample/tick.h"

static const char DEFAULT_ADDRESS[] = "localhost:6060";

/* written by pprof_start and pprof_stop */
static struct listeners listeners;
static atomic_bool is_serving;
static bool has_sources;

bool pprof_is_disabled(void) {
    return thread_is_disabled();
}

static int refuse(enum status status, char message[PPROF_MESSAGE_BYTES]) {
    int error = errno != 0 ? errno : EIO;
    snprintf(message, PPROF_MESSAGE_BYTES, "%s (%s)", status_sentence(status), strerror(error));
    return -error;
}

static enum status start_sampling(const struct pprof_options *options) {
    static const struct source *const sources[] = {
        &allocs_source, &block_source, &goroutine_source,
        &heap_source,   &mutex_source, &threadcreate_source,
    };
    comments_set_version(options->version);
    contention_init(options->block_rate_ns, options->mutex_fraction);
    for (size_t i = 0; i < COUNT_OF(sources) && !has_sources; i++) {
        enum status status = source_add(sources[i]);
        if (status != STATUS_OK) return status;
    }
    has_sources = true;
    uint32_t windows = options->cpu_windows;
    enum status status = cpu_init(windows != 0 ? windows : PPROF_DEFAULT_CPU_WINDOWS);
    return status == STATUS_OK ? dump_init() : status;
}

int pprof_start(const struct pprof_options *options, char ret_message[PPROF_MESSAGE_BYTES]) {
    if (thread_is_disabled()) return 0;
    errno = 0;
    enum status status = thread_enter_main();
    if (status != STATUS_OK) return refuse(status, ret_message);
    status = start_sampling(options);
    if (status != STATUS_OK) return refuse(status, ret_message);
    const char *address = options->address != NULL ? options->address : DEFAULT_ADDRESS;
    int error = listeners_open(address, &listeners, ret_message);
    if (error != 0) return error;
    status = server_start(&listeners);
    if (status == STATUS_OK) {
        reserve_start();
        atomic_store(&is_serving, true);
        return 0;
    }
    listeners.count = 0;
    return refuse(status, ret_message);
}

void pprof_stop(void) {
    if (!atomic_exchange(&is_serving, false)) return;
    server_stop();  // closes the sockets, too
    reserve_stop();
}

void pprof_read_statistics(struct pprof_statistics *ret_statistics) {
    *ret_statistics = (struct pprof_statistics){
        .is_serving = atomic_load(&is_serving),
        .ticks_recorded = atomic_load(&tick_recorded),
        .ticks_dropped = atomic_load(&tick_dropped),
        .threads_unsampled = cpu_unsampled_count(),
        .requests = server_request_count(),
    };
    if (!ret_statistics->is_serving) return;
    ret_statistics->address_count = listeners.count;
    memcpy(ret_statistics->addresses, listeners.addresses, sizeof listeners.addresses);
}
