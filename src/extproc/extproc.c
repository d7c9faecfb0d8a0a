// SPDX-License-Identifier: Apache-2.0
// Puts the parts together: addresses, workers, admin server.
#include "extproc/extproc.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "extproc/admin/admin.h"
#include "extproc/admin/check.h"
#include "extproc/budget.h"
#include "extproc/listen/cpus.h"
#include "extproc/listen/service.h"
#include "extproc/listen/worker.h"
#include "extproc/memory.h"
#include "extproc/modelfile.h"
#include "extproc/process/process.h"

// Left for everything but gRPC connections: without it a flood of them would leave /health and the
// profiler without descriptors.
enum { DESCRIPTORS_RESERVED = 128 };

enum {
    TOTAL_BODY_LIMIT_BYTES = 1 << 30,  // where no cgroup says how much memory there is
    OWN_MEMORY_BYTES = 8 << 20,        // what the program and its profiles take at least
};

#define HEALTH_MOST_NS NS_PER_SECOND

_Static_assert((int)EXTPROC_WORKERS_MOST == (int)WORKERS_MOST, "what is promised is what there is");

struct extproc {
    struct process_options process;
    struct budget budget;  // bytes of bodies: parts of messages, what is held, unread answers
    struct budget streams_budget;  // streams in flight
    struct models models;
    struct modelfile modelfile;
    void (*write_metrics)(struct buffer *text, void *context);
    void *write_metrics_context;
    struct listen_socket sockets[LISTEN_ADDRESSES_MOST];  // copies: closed by the service
    size_t socket_count;
    struct listen_socket admin_sockets[LISTEN_ADDRESSES_MOST];  // copies: closed by the admins
    size_t admin_count;
    struct service *service;
    struct admin *admins[LISTEN_ADDRESSES_MOST];  // the first so many
};

// To be full is not to be dead: a listener that closes the check's own connection because there are
// too many has shown that it lives.
static const char *check_socket(struct extproc *extproc, const struct listen_socket *socket,
                                int64_t deadline_ns) {
    uint64_t refused_before = service_refused_count(extproc->service);
    const char *why = check_listener(socket, deadline_ns);
    bool is_full = service_refused_count(extproc->service) != refused_before;
    return why == check_closed && is_full ? NULL : why;
}

static bool is_healthy(void *context, char reason[ADMIN_REASON_BYTES]) {
    struct extproc *extproc = context;
    int64_t deadline_ns = clock_monotonic_ns() + HEALTH_MOST_NS;
    const char *why = NULL;
    if (service_is_draining(extproc->service)) why = "The processor is draining.";
    for (size_t i = 0; why == NULL && i < extproc->socket_count; i++) {
        why = check_socket(extproc, &extproc->sockets[i], deadline_ns);
    }
    if (why == NULL && !service_is_alive(extproc->service, deadline_ns)) {
        why = "A worker does not answer in time.";
    }
    if (why == NULL) return true;
    snprintf(reason, ADMIN_REASON_BYTES, "%s", why);
    return false;
}

static enum status write_metrics(void *context, struct buffer *text) {
    struct extproc *extproc = context;
    enum status status = service_write_metrics(extproc->service, text);
    if (status == STATUS_OK && extproc->write_metrics != NULL) {
        extproc->write_metrics(text, extproc->write_metrics_context);
    }
    return status;
}

// Raises the soft limit of descriptors to the hard one, as Go does, and tells how many connections
// fit under it.
static size_t connections_that_fit(size_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = soft;
    if (limit.rlim_cur >= wanted + DESCRIPTORS_RESERVED) return wanted;
    size_t fit = limit.rlim_cur > 2 * DESCRIPTORS_RESERVED
                     ? (size_t)limit.rlim_cur - DESCRIPTORS_RESERVED
                     : (size_t)limit.rlim_cur / 2;
    log_warn("fewer connections than set, for lack of file descriptors",
             log_number("connections", (int64_t)fit), log_number("set", (int64_t)wanted));
    return fit;
}

// A quarter of the memory beyond what the program itself and its profiles take: a body may be there
// twice for a moment (where it is changed, the changed one lies beside it), and connections have
// some, too.
static size_t default_body_limit(size_t memory) {
    if (memory == SIZE_MAX) return TOTAL_BODY_LIMIT_BYTES;
    size_t own = memory / 2 < OWN_MEMORY_BYTES ? memory / 2 : OWN_MEMORY_BYTES;
    return (memory - own) / 4;
}

static size_t total_body_limit(size_t wanted, size_t body_limit) {
    size_t limit = wanted != 0 ? wanted : default_body_limit(memory_limit_bytes());
    if (limit < body_limit) {
        log_warn("larger bodies than all together may have are always refused",
                 log_number("total_body_limit", (int64_t)limit),
                 log_number("body_limit", (int64_t)body_limit));
    }
    return limit;
}

// `setting` is named in front of the reason.
static enum status refuse(enum status status, const char *setting, const char *reason,
                          char message[EXTPROC_MESSAGE_BYTES]) {
    snprintf(message, EXTPROC_MESSAGE_BYTES, "%s: %s", setting, reason);
    return status;
}

// Opens all addresses of a setting, or none.
static enum status open_sockets(const char *setting, const char *list,
                                struct listen_socket sockets[LISTEN_ADDRESSES_MOST],
                                size_t *ret_count, char ret_message[EXTPROC_MESSAGE_BYTES]) {
    struct listen_address addresses[LISTEN_ADDRESSES_MOST];
    size_t count;
    char reason[LISTEN_MESSAGE_BYTES];
    enum status status = listen_address_parse_list(list, addresses, &count, reason);
    if (status == STATUS_OK) {
        status = listen_sockets_open(addresses, count, sockets, ret_count, reason);
    }
    return status == STATUS_OK ? STATUS_OK : refuse(status, setting, reason, ret_message);
}

static void check_models(void *context) {
    struct extproc *extproc = context;
    modelfile_check(&extproc->modelfile);
}

// A name may have slashes, but begins with none: that is a path.
static enum status read_models(struct extproc *extproc, const char *setting,
                               char ret_message[EXTPROC_MESSAGE_BYTES]) {
    if (setting[0] == '\0') return STATUS_OK;
    char reason[MODELS_MESSAGE_BYTES];
    enum status status;
    if (setting[0] == '/' || setting[0] == '.') {
        extproc->modelfile = (struct modelfile){.path = setting, .models = &extproc->models};
        status = modelfile_open(&extproc->modelfile, reason);
    } else {
        int64_t now_s = clock_wall_ns() / NS_PER_SECOND;
        status = models_set(&extproc->models, bytes_of_text(setting), now_s, reason);
    }
    extproc->process.models = &extproc->models;
    if (status == STATUS_OK) return STATUS_OK;
    // Whatever it was, the setting is not what it should be.
    snprintf(ret_message, EXTPROC_MESSAGE_BYTES, "--models: %.128s: %s", setting, reason);
    return STATUS_MALFORMED;
}

static enum status start_service(struct extproc *extproc, const struct extproc_options *options,
                                 char ret_message[EXTPROC_MESSAGE_BYTES]) {
    enum status status = open_sockets("--listen", options->listen, extproc->sockets,
                                      &extproc->socket_count, ret_message);
    if (status != STATUS_OK) return status;
    struct service_options service = {
        .worker_count = options->worker_count != 0 ? (size_t)options->worker_count : cpus_count(),
        .connections_most = connections_that_fit((size_t)options->connections_most),
        .streams_most = (uint32_t)options->streams_most,
        .drain_delay_ns = options->drain_delay_ns,
        .drain_deadline_ns = options->drain_deadline_ns,
        .every_second = extproc->modelfile.path != NULL ? check_models : NULL,
        .context = extproc,
        .process = &extproc->process,
        .budget = &extproc->budget,
        .streams_budget = &extproc->streams_budget,
    };
    if (service.worker_count > WORKERS_MOST) service.worker_count = WORKERS_MOST;  // of CPUs
    status = service_start(&service, extproc->sockets, extproc->socket_count, &extproc->service);
    if (status == STATUS_OK) return STATUS_OK;
    return refuse(status, "the workers do not start", status_sentence(status), ret_message);
}

static enum status start_admin(struct extproc *extproc, const char *addresses,
                               char ret_message[EXTPROC_MESSAGE_BYTES]) {
    if (addresses[0] == '\0') return STATUS_OK;
    const struct listen_socket *sockets = extproc->admin_sockets;
    enum status status = open_sockets("--admin-address", addresses, extproc->admin_sockets,
                                      &extproc->admin_count, ret_message);
    if (status != STATUS_OK) return status;
    struct admin_handlers handlers = {
        .is_healthy = is_healthy, .write_metrics = write_metrics, .context = extproc};
    for (size_t i = 0; i < extproc->admin_count; i++) {
        status = admin_start(&sockets[i], &handlers, &extproc->admins[i]);
        if (status == STATUS_OK) continue;
        listen_sockets_close(sockets + i + 1, extproc->admin_count - i - 1);
        return refuse(status, "the admin server does not start", status_sentence(status),
                      ret_message);
    }
    return STATUS_OK;
}

// The last step: a start that fails must not have taken the place of a process that serves.
static enum status publish(const struct extproc *extproc, char ret_message[EXTPROC_MESSAGE_BYTES]) {
    char reason[LISTEN_MESSAGE_BYTES];
    const char *setting = "--admin-address";
    enum status status = listen_sockets_publish(extproc->admin_sockets, extproc->admin_count,
                                                reason);
    if (status == STATUS_OK) {
        setting = "--listen";
        status = listen_sockets_publish(extproc->sockets, extproc->socket_count, reason);
    }
    return status == STATUS_OK ? STATUS_OK : refuse(status, setting, reason, ret_message);
}

enum status extproc_start(const struct extproc_options *options, struct extproc **ret_extproc,
                          char ret_message[EXTPROC_MESSAGE_BYTES]) {
    struct extproc *extproc = calloc(1, sizeof(*extproc));
    if (extproc == NULL) return refuse(STATUS_NO_MEMORY, "start", "out of memory", ret_message);
    extproc->process = (struct process_options){
        .body_limit_bytes = (size_t)options->body_limit_bytes,
        .asks_for_usage = options->includes_usage != 0,
        .budget = &extproc->budget,
        .observer = options->observer,
    };
    extproc->budget.most = total_body_limit((size_t)options->total_body_limit_bytes,
                                            (size_t)options->body_limit_bytes);
    extproc->streams_budget.most = (size_t)options->total_streams_most;
    extproc->write_metrics = options->write_metrics;
    extproc->write_metrics_context = options->write_metrics_context;
    pthread_mutex_init(&extproc->models.lock, NULL);
    enum status status = read_models(extproc, options->models, ret_message);
    if (status == STATUS_OK) status = start_service(extproc, options, ret_message);
    if (status == STATUS_OK) status = start_admin(extproc, options->admin_address, ret_message);
    if (status == STATUS_OK) status = publish(extproc, ret_message);
    if (status != STATUS_OK) {
        extproc_free(extproc);
        return status;
    }
    for (size_t i = 0; i < extproc->socket_count; i++) {
        log_info("listening", log_text("service", "grpc"),
                 log_text("address", extproc_address(extproc, i)));
        if (!extproc->sockets[i].is_taken_over) continue;
        log_info("taken over from a process that still listened",
                 log_text("address", extproc_address(extproc, i)));
    }
    for (size_t i = 0; extproc_admin_address(extproc, i) != NULL; i++) {
        log_info("listening", log_text("service", "admin"),
                 log_text("address", extproc_admin_address(extproc, i)));
    }
    *ret_extproc = extproc;
    return STATUS_OK;
}

const char *extproc_address(const struct extproc *extproc, size_t index) {
    return index < extproc->socket_count ? extproc->sockets[index].name : NULL;
}

const char *extproc_admin_address(const struct extproc *extproc, size_t index) {
    return index < extproc->admin_count ? extproc->admin_sockets[index].name : NULL;
}

struct visiting {
    void (*visit)(const struct extproc_stream *stream, void *context);
    void *context;
};

static void visit_entry(const struct stream_entry *entry, void *context) {
    const struct visiting *visiting = context;
    const struct extproc_stream stream = {
        .state = atomic_load_explicit(&entry->state, memory_order_relaxed),
        .label = atomic_load_explicit(&entry->label, memory_order_relaxed),
        // Not a time for all: one that has just come would be younger than nothing.
        .age_ns = clock_monotonic_ns() - entry->start_ns,
    };
    visiting->visit(&stream, visiting->context);
}

void extproc_visit_streams(struct extproc *extproc,
                           void (*visit)(const struct extproc_stream *stream, void *context),
                           void *context) {
    struct visiting visiting = {visit, context};
    service_visit_streams(extproc->service, visit_entry, &visiting);
}

void extproc_drain(struct extproc *extproc) {
    service_drain(extproc->service);
}

void extproc_stop(struct extproc *extproc) {
    service_stop(extproc->service);
}

int extproc_finished_fd(const struct extproc *extproc) {
    return service_finished_fd(extproc->service);
}

void extproc_free(struct extproc *extproc) {
    if (extproc == NULL) return;
    for (size_t i = 0; i < LISTEN_ADDRESSES_MOST; i++) {
        admin_free(extproc->admins[i]);  // it asks the service
    }
    service_free(extproc->service);
    models_done(&extproc->models);
    free(extproc);
}
