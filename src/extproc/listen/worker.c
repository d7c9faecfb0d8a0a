// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "extproc/grpc/call.h"
#include "extproc/listen/connection.h"

enum { STACK_BYTES = 1 << 20, TICK_MS = 1000 };

// A connection on its way from the accepting thread to the loop.
struct handover {
    struct handover *next;
    int fd;
    bool is_tcp;
};

static struct handover *take_handovers(struct worker *worker) {
    pthread_mutex_lock(&worker->lock);
    struct handover *first = worker->first;
    worker->first = NULL;
    worker->last = &worker->first;
    pthread_mutex_unlock(&worker->lock);
    return first;
}

void worker_forget(struct worker *worker) {
    // pairs with the acquire in worker_connections: who reads 0 sees all that they counted
    atomic_fetch_sub_explicit(&worker->connection_count, 1, memory_order_release);
    worker->on_news(worker->context);
}

static void on_tick(uv_timer_t *timer) {
    struct worker *worker = timer->data;
    int64_t now_ns = clock_monotonic_ns();
    struct connection *next;
    for (struct connection *one = worker->connections; one != NULL; one = next) {
        next = connection_next(one);
        connection_tick(one, now_ns);
    }
    if (worker->connections == NULL) uv_timer_stop(timer);
}

static void open_connections(struct worker *worker) {
    struct handover *next;
    for (struct handover *one = take_handovers(worker); one != NULL; one = next) {
        next = one->next;
        if (connection_open(worker, one->fd, one->is_tcp) != STATUS_OK) {
            metrics_add(&worker->metrics, METRIC_ACCEPT_ERRORS, 1);
            worker_forget(worker);
        }
        free(one);
    }
    if (worker->connections != NULL && !uv_is_active((uv_handle_t *)&worker->tick)) {
        uv_timer_start(&worker->tick, on_tick, TICK_MS, TICK_MS);
    }
}

static void drain_connections(struct worker *worker) {
    struct connection *next;
    for (struct connection *one = worker->connections; one != NULL; one = next) {
        next = connection_next(one);
        connection_drain(one);
    }
}

static void flush_connections(struct worker *worker) {
    struct connection *next;
    for (struct connection *one = worker->connections; one != NULL; one = next) {
        next = connection_next(one);
        connection_flush(one);
    }
}

static void tell_phase(struct worker *worker) {
    int phase = atomic_load_explicit(worker->grpc.phase, memory_order_acquire);
    if (phase == worker->phase) return;
    worker->phase = phase;
    grpc_calls_wake(&worker->grpc);
    flush_connections(worker);
}

static void on_wake(uv_async_t *wake) {
    struct worker *worker = wake->data;
    unsigned asked = atomic_load_explicit(&worker->asked, memory_order_acquire);
    if (atomic_exchange_explicit(&worker->answered, asked, memory_order_release) != asked) {
        worker->on_news(worker->context);
    }
    open_connections(worker);
    tell_phase(worker);
    if (atomic_load_explicit(&worker->wants_drain, memory_order_acquire)) {
        drain_connections(worker);  // once more is harmless, and reaches late handovers
    }
    if (atomic_load_explicit(&worker->wants_stop, memory_order_acquire)) {
        while (worker->connections != NULL) {
            connection_close(worker->connections);
        }
        uv_stop(&worker->loop);
    }
}

static void *run(void *context) {
    struct worker *worker = context;
    char name[16];
    snprintf(name, sizeof(name), "worker-%zu", worker->index % 1000);
    pthread_setname_np(pthread_self(), name);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    return NULL;
}

static enum status start_thread(struct worker *worker) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return STATUS_NO_MEMORY;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int error = pthread_create(&worker->thread, &attributes, run, worker);
    if (error == 0) error = pthread_getcpuclockid(worker->thread, &worker->cpu_clock);
    pthread_attr_destroy(&attributes);
    return error == 0 ? STATUS_OK : STATUS_SYSTEM;
}

static void close_loop(struct worker *worker) {
    uv_close((uv_handle_t *)&worker->tick, NULL);
    uv_run(&worker->loop, UV_RUN_DEFAULT);  // lets the closed handles go
    uv_loop_close(&worker->loop);
    free(worker->input);
    buffer_done(&worker->output);
    pthread_mutex_destroy(&worker->lock);
}

enum status worker_start(struct worker *worker) {
    worker->last = &worker->first;
    worker->grpc.metrics = &worker->metrics;
    worker->metrics.genai = &worker->genai;
    worker->streams = (struct stream_list)STREAM_LIST_INIT;
    worker->grpc.streams = &worker->streams;
    worker->input = malloc(WORKER_INPUT_BYTES);
    if (worker->input == NULL) return STATUS_NO_MEMORY;
    if (uv_loop_init(&worker->loop) != 0) {
        free(worker->input);
        return STATUS_SYSTEM;
    }
    pthread_mutex_init(&worker->lock, NULL);
    uv_timer_init(&worker->loop, &worker->tick);
    worker->tick.data = worker;
    bool is_awake = uv_async_init(&worker->loop, &worker->wake, on_wake) == 0;
    worker->wake.data = worker;
    enum status status = is_awake ? start_thread(worker) : STATUS_SYSTEM;
    if (status == STATUS_OK) return STATUS_OK;
    if (is_awake) uv_close((uv_handle_t *)&worker->wake, NULL);
    close_loop(worker);
    return status;
}

enum status worker_take(struct worker *worker, int fd, bool is_tcp) {
    struct handover *handover = malloc(sizeof(*handover));
    if (handover == NULL) {
        close(fd);
        return STATUS_NO_MEMORY;
    }
    *handover = (struct handover){.fd = fd, .is_tcp = is_tcp};
    atomic_fetch_add_explicit(&worker->connection_count, 1, memory_order_relaxed);
    pthread_mutex_lock(&worker->lock);
    *worker->last = handover;
    worker->last = &handover->next;
    pthread_mutex_unlock(&worker->lock);
    uv_async_send(&worker->wake);
    return STATUS_OK;
}

size_t worker_connections(const struct worker *worker) {
    return atomic_load_explicit(&worker->connection_count, memory_order_acquire);
}

void worker_wake(struct worker *worker) {
    uv_async_send(&worker->wake);
}

void worker_drain(struct worker *worker) {
    // pairs with the acquire in on_wake, as does that of worker_stop
    atomic_store_explicit(&worker->wants_drain, true, memory_order_release);
    uv_async_send(&worker->wake);
}

void worker_ask(struct worker *worker) {
    // pairs with the acquire in on_wake
    atomic_fetch_add_explicit(&worker->asked, 1, memory_order_release);
    uv_async_send(&worker->wake);
}

bool worker_has_answered(const struct worker *worker) {
    unsigned asked = atomic_load_explicit(&worker->asked, memory_order_relaxed);
    return atomic_load_explicit(&worker->answered, memory_order_acquire) == asked;
}

void worker_stop(struct worker *worker) {
    atomic_store_explicit(&worker->wants_stop, true, memory_order_release);
    uv_async_send(&worker->wake);
    pthread_join(worker->thread, NULL);
    for (struct handover *one = worker->first, *next; one != NULL; one = next) {
        next = one->next;
        close(one->fd);
        free(one);
    }
    // Only now: until here a late uv_async_send must find it open.
    uv_close((uv_handle_t *)&worker->wake, NULL);
    close_loop(worker);
}
