// SPDX-License-Identifier: Apache-2.0
#include "pprof/pprof.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "pprof/http/access.h"
#include "pprof/http/comments.h"
#include "pprof/http/port.h"
#include "pprof/http/record.h"
#include "pprof/http/served.h"
#include "pprof/http/timed.h"
#include "pprof/profile/source.h"
#include "pprof/sample/contention.h"
#include "pprof/sample/cpu.h"
#include "pprof/sample/create.h"
#include "pprof/sample/dump.h"
#include "pprof/sample/heap.h"
#include "pprof/sample/thread.h"
#include "pprof/sample/tick.h"

static const char DEFAULT_ADDRESS[] = "localhost:6060";

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

// What may be asked, by whom.
static int set_rules(const struct pprof_options *options, char message[PPROF_MESSAGE_BYTES]) {
    int64_t seconds = options->max_seconds;
    uint32_t places = options->timed_requests;
    timed_init(seconds != 0 ? seconds : PPROF_DEFAULT_MAX_SECONDS,
               places != 0 ? places : PPROF_DEFAULT_TIMED_REQUESTS);
    const struct access_rules rules = {
        .token_file = options->token_file,
        .asks_loopback = options->auth_loopback,
        .allowed_hosts = options->allowed_hosts,
    };
    int error = access_init(&rules, message);
    return error != 0 ? error : served_init(options->profiles, message);
}

int pprof_start(const struct pprof_options *options, char ret_message[PPROF_MESSAGE_BYTES]) {
    if (thread_is_disabled()) return 0;
    errno = 0;
    enum status status = thread_enter_main();
    if (status != STATUS_OK) return refuse(status, ret_message);
    status = start_sampling(options);
    if (status != STATUS_OK) return refuse(status, ret_message);
    int error = set_rules(options, ret_message);
    if (error != 0) return error;
    const char *address = options->address != NULL ? options->address : DEFAULT_ADDRESS;
    return port_start(address, options->switch_file, ret_message);
}

void pprof_stop(void) {
    port_stop();
}

void pprof_read_statistics(struct pprof_statistics *ret_statistics) {
    struct listeners listeners;
    port_read(&listeners);
    *ret_statistics = (struct pprof_statistics){
        .is_serving = listeners.count != 0,
        .ticks_recorded = atomic_load(&tick_recorded),
        .ticks_dropped = atomic_load(&tick_dropped),
        .threads_unsampled = cpu_unsampled_count(),
        .requests = record_request_count(),
        .cpu_profiles = cpu_window_count(),
        .timed_requests = (uint32_t)timed_running(),
        .timed_ns = timed_total_ns(),
        .address_count = listeners.count,
    };
    memcpy(ret_statistics->addresses, listeners.addresses, sizeof listeners.addresses);
}

void pprof_visit_requests(void (*visit)(const char *, unsigned, uint64_t, void *), void *context) {
    record_visit_requests(visit, context);
}

void pprof_visit_refusals(void (*visit)(const char *, uint64_t, void *), void *context) {
    record_visit_refusals(visit, context);
}
