// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/service.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "extproc/listen/acceptor.h"
#include "extproc/listen/report.h"
#include "extproc/listen/worker.h"

struct service {
    /* immutable once started */
    struct service_options options;
    pthread_t thread;
    bool has_thread;
    bool has_loop;
    int finished_fd;
    struct worker *workers;
    size_t worker_count;

    /* own thread only */
    uv_loop_t loop;
    uv_timer_t drain_timer, second_timer;
    struct acceptor acceptor;
    enum { SERVING, AWAIT_DELAY, AWAIT_STREAMS, FINISHED } state;
    size_t last_worker;

    /* any thread */
    uv_async_t wake;
    struct metrics metrics;  // written by the own thread
    atomic_int phase;        // enum grpc_phase
    atomic_bool wants_stop;

    /* has a lock of its own */
    struct genai_catalogue catalogue;

    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool are_workers_up;
};

// Orders workers by load: fewest connections, then fewest streams.
static bool is_less_loaded(const struct worker *a, const struct worker *b) {
    size_t connections_a = worker_connections(a), connections_b = worker_connections(b);
    if (connections_a != connections_b) return connections_a < connections_b;
    return metrics_read(&a->metrics, METRIC_STREAMS) < metrics_read(&b->metrics, METRIC_STREAMS);
}

// Among equals the one after the last that was chosen.
static size_t pick_worker(const struct worker *workers, size_t count, size_t last) {
    size_t best = (last + 1) % count;
    for (size_t i = 2; i <= count; i++) {
        size_t other = (last + i) % count;
        if (is_less_loaded(&workers[other], &workers[best])) best = other;
    }
    return best;
}

static size_t connections_of_all(const struct service *service) {
    size_t connections = 0;
    for (size_t i = 0; i < service->worker_count; i++) {
        connections += worker_connections(&service->workers[i]);
    }
    return connections;
}

// The acceptor's.
static void take_connection(void *context, int fd, bool is_tcp) {
    struct service *service = context;
    if (connections_of_all(service) >= service->options.connections_most) {
        metrics_add(&service->metrics, METRIC_CONNECTIONS_REFUSED, 1);
        close(fd);
        return;
    }
    service->last_worker = pick_worker(service->workers, service->worker_count,
                                       service->last_worker);
    if (worker_take(&service->workers[service->last_worker], fd, is_tcp) != STATUS_OK) {
        metrics_add(&service->metrics, METRIC_ACCEPT_ERRORS, 1);
    }
}

static void stop_workers(struct service *service) {
    for (size_t i = 0; i < service->worker_count; i++) {
        worker_stop(&service->workers[i]);
    }
}

static void finish(struct service *service) {
    log_info("workers end", log_number("connections_cut", (int64_t)connections_of_all(service)));
    service->state = FINISHED;
    uv_timer_stop(&service->drain_timer);  // it may be due in this very turn of the loop
    acceptor_close(&service->acceptor);
    pthread_mutex_lock(&service->lock);
    service->are_workers_up = false;
    pthread_cond_broadcast(&service->answered);
    pthread_mutex_unlock(&service->lock);
    stop_workers(service);
    uint64_t one = 1;
    (void)!write(service->finished_fd, &one, sizeof(one));
    uv_stop(&service->loop);
}

static void on_deadline(uv_timer_t *timer) {
    finish(timer->data);
}

static uint64_t ms_of(int64_t ns) {
    return (uint64_t)((ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void on_delay_over(uv_timer_t *timer) {
    struct service *service = timer->data;
    log_info("drain: closing", log_number("connections", (int64_t)connections_of_all(service)),
             log_number("deadline_ms", (int64_t)ms_of(service->options.drain_deadline_ns)));
    service->state = AWAIT_STREAMS;
    // Who has been let in by the kernel already is served, not reset.
    acceptor_take_waiting(&service->acceptor, service->options.connections_most);
    acceptor_close(&service->acceptor);
    atomic_store_explicit(&service->phase, GRPC_CLOSING, memory_order_release);
    for (size_t i = 0; i < service->worker_count; i++) {
        worker_drain(&service->workers[i]);
    }
    uv_timer_start(timer, on_deadline, ms_of(service->options.drain_deadline_ns), 0);
    uv_async_send(&service->wake);
}

static void begin_delay(struct service *service) {
    log_info("drain: new requests are still taken",
             log_number("for_ms", (int64_t)ms_of(service->options.drain_delay_ns)));
    service->state = AWAIT_DELAY;
    for (size_t i = 0; i < service->worker_count; i++) {
        worker_wake(&service->workers[i]);  // who watches the health is told
    }
    uv_timer_start(&service->drain_timer, on_delay_over, ms_of(service->options.drain_delay_ns), 0);
}

static void on_wake(uv_async_t *wake) {
    struct service *service = wake->data;
    if (service->state == FINISHED) return;
    if (atomic_load_explicit(&service->wants_stop, memory_order_acquire)) {
        finish(service);
        return;
    }
    if (service->state == SERVING && service_is_draining(service)) begin_delay(service);
    if (service->state == AWAIT_STREAMS && connections_of_all(service) == 0) finish(service);
}

// Context: a worker's thread.
static void on_worker_news(void *context) {
    struct service *service = context;
    if (service_is_draining(service)) uv_async_send(&service->wake);
    pthread_mutex_lock(&service->lock);
    pthread_cond_broadcast(&service->answered);
    pthread_mutex_unlock(&service->lock);
}

static void *run(void *context) {
    struct service *service = context;
    pthread_setname_np(pthread_self(), "accept");
    uv_run(&service->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void close_loop(struct service *service) {
    uv_close((uv_handle_t *)&service->wake, NULL);
    uv_close((uv_handle_t *)&service->drain_timer, NULL);
    uv_close((uv_handle_t *)&service->second_timer, NULL);
    acceptor_stop(&service->acceptor);
    uv_run(&service->loop, UV_RUN_DEFAULT);  // lets the closed handles go
    uv_loop_close(&service->loop);
}

static void on_second(uv_timer_t *timer) {
    const struct service *service = timer->data;
    service->options.every_second(service->options.context);
}

static enum status open_loop(struct service *service) {
    if (uv_loop_init(&service->loop) != 0) return STATUS_SYSTEM;
    if (uv_async_init(&service->loop, &service->wake, on_wake) != 0) {
        uv_loop_close(&service->loop);
        return STATUS_SYSTEM;
    }
    service->wake.data = service;
    uv_timer_init(&service->loop, &service->drain_timer);
    service->drain_timer.data = service;
    uv_timer_init(&service->loop, &service->second_timer);
    service->second_timer.data = service;
    if (service->options.every_second != NULL) {
        uv_timer_start(&service->second_timer, on_second, 1000, 1000);
    }
    service->has_loop = true;
    return STATUS_OK;
}

static enum status start_workers(struct service *service) {
    const struct service_options *options = &service->options;
    for (size_t i = 0; i < options->worker_count; i++) {
        struct worker *worker = &service->workers[i];
        worker->index = i;
        worker->http2 = (struct http2_options){.streams_most = options->streams_most,
                                               .output_budget = options->budget};
        worker->grpc = (struct grpc_server){.process = options->process,
                                            .budget = options->budget,
                                            .streams_budget = options->streams_budget,
                                            .phase = &service->phase};
        worker->genai.catalogue = &service->catalogue;
        worker->on_news = on_worker_news;
        worker->context = service;
        enum status status = worker_start(worker);
        if (status != STATUS_OK) return status;
        service->worker_count++;
    }
    service->are_workers_up = true;
    return STATUS_OK;
}

static void *allocate(size_t count, size_t size) {
    void *memory = aligned_alloc(_Alignof(struct metrics), count * size);
    if (memory != NULL) memset(memory, 0, count * size);
    return memory;
}

static struct service *new_service(const struct service_options *options) {
    struct service *service = allocate(1, sizeof(*service));
    if (service == NULL) return NULL;
    service->options = *options;
    service->finished_fd = -1;
    service->acceptor.metrics = &service->metrics;
    service->acceptor.take = take_connection;
    service->acceptor.context = service;
    pthread_mutex_init(&service->lock, NULL);
    pthread_mutex_init(&service->catalogue.lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&service->answered, &attributes);
    pthread_condattr_destroy(&attributes);

    service->workers = allocate(options->worker_count, sizeof(struct worker));
    if (service->workers != NULL) return service;
    service_free(service);
    return NULL;
}

static enum status start_thread(struct service *service) {
    if (pthread_create(&service->thread, NULL, run, service) != 0) return STATUS_SYSTEM;
    service->has_thread = true;
    return STATUS_OK;
}

enum status service_start(const struct service_options *options,
                          const struct listen_socket *sockets, size_t socket_count,
                          struct service **ret_service) {
    struct service *service = new_service(options);
    if (service == NULL) {
        listen_sockets_close(sockets, socket_count);
        return STATUS_NO_MEMORY;
    }
    enum status status = acceptor_init(&service->acceptor, sockets, socket_count);
    service->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (status == STATUS_OK && service->finished_fd < 0) status = STATUS_SYSTEM;
    if (status == STATUS_OK) status = open_loop(service);
    if (status == STATUS_OK) status = start_workers(service);
    if (status == STATUS_OK) status = acceptor_start(&service->acceptor, &service->loop);
    if (status == STATUS_OK) status = start_thread(service);
    if (status != STATUS_OK) {
        service_free(service);
        return status;
    }
    *ret_service = service;
    return STATUS_OK;
}

static void begin_to_drain(struct service *service) {
    int serving = GRPC_SERVING;
    // pairs with the acquire in service_is_draining
    atomic_compare_exchange_strong_explicit(&service->phase, &serving, GRPC_DRAINING,
                                            memory_order_release, memory_order_relaxed);
}

void service_drain(struct service *service) {
    begin_to_drain(service);
    uv_async_send(&service->wake);
}

void service_stop(struct service *service) {
    begin_to_drain(service);
    // pairs with the acquire in on_wake
    atomic_store_explicit(&service->wants_stop, true, memory_order_release);
    uv_async_send(&service->wake);
}

int service_finished_fd(const struct service *service) {
    return service->finished_fd;
}

bool service_is_draining(const struct service *service) {
    return atomic_load_explicit(&service->phase, memory_order_acquire) != GRPC_SERVING;
}

uint64_t service_refused_count(const struct service *service) {
    return metrics_read(&service->metrics, METRIC_CONNECTIONS_REFUSED);
}

static bool have_all_answered(const struct service *service) {
    for (size_t i = 0; i < service->worker_count; i++) {
        if (!worker_has_answered(&service->workers[i])) return false;
    }
    return true;
}

bool service_is_alive(struct service *service, int64_t deadline_ns) {
    struct timespec deadline = {.tv_sec = deadline_ns / NS_PER_SECOND,
                                .tv_nsec = deadline_ns % NS_PER_SECOND};
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; service->are_workers_up && i < service->worker_count; i++) {
        worker_ask(&service->workers[i]);
    }
    int error = 0;
    while (service->are_workers_up && !have_all_answered(service) && error == 0) {
        error = pthread_cond_timedwait(&service->answered, &service->lock, &deadline);
    }
    bool is_alive = service->are_workers_up && have_all_answered(service);
    pthread_mutex_unlock(&service->lock);
    return is_alive;
}

void service_visit_streams(struct service *service,
                           void (*visit)(const struct stream_entry *entry, void *context),
                           void *context) {
    for (size_t i = 0; i < service->worker_count; i++) {
        stream_list_visit(&service->workers[i].streams, visit, context);
    }
}

enum status service_write_metrics(struct service *service, struct buffer *text) {
    const struct service_options *options = &service->options;
    int phase = atomic_load_explicit(&service->phase, memory_order_acquire);
    // What is not counted by adding.
    struct metrics now = {0};
    metrics_add(&now, METRIC_WORKERS, service->worker_count);
    metrics_add(&now, METRIC_BODY_BYTES,
                atomic_load_explicit(&options->budget->used, memory_order_relaxed));
    metrics_add(&now, METRIC_BODY_BYTES_LIMIT, options->budget->most);
    metrics_add(&now, METRIC_STREAMS_LIMIT, options->streams_budget->most);
    metrics_add(&now, METRIC_CONNECTIONS_LIMIT, options->connections_most);
    metrics_add(&now, METRIC_SERVING, phase == GRPC_SERVING);
    metrics_add(&now, METRIC_DRAINING, phase == GRPC_DRAINING);
    metrics_add(&now, METRIC_CLOSING, phase == GRPC_CLOSING);
    const struct metrics *const others[] = {&now, &service->metrics};
    const struct report report = {others, COUNT_OF(others), service->workers, service->worker_count,
                                  &service->catalogue};
    return report_write(&report, text);
}

void service_free(struct service *service) {
    if (service == NULL) return;
    if (service->has_thread) {
        service_stop(service);
        pthread_join(service->thread, NULL);
    } else {
        stop_workers(service);
    }
    if (service->has_loop) close_loop(service);
    acceptor_close(&service->acceptor);
    acceptor_free(&service->acceptor);
    if (service->finished_fd >= 0) close(service->finished_fd);
    pthread_cond_destroy(&service->answered);
    pthread_mutex_destroy(&service->catalogue.lock);
    pthread_mutex_destroy(&service->lock);
    for (size_t i = 0; service->workers != NULL && i < service->options.worker_count; i++) {
        genai_done(&service->workers[i].genai);
    }
    free(service->workers);
    free(service);
}
