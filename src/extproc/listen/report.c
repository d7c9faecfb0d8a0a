// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/report.h"

#include <inttypes.h>
#include <time.h>

#include "base/clock.h"

enum { OTHERS_MOST = METRICS_SETS_MOST - WORKERS_MOST };

// The kernel counts it anyway, so it costs nothing but when it is read. 0 for a thread that is
// gone, which /metrics outlives.
static uint64_t cpu_ns(const struct worker *worker) {
    struct timespec used;
    if (clock_gettime(worker->cpu_clock, &used) != 0) return 0;
    return (uint64_t)(used.tv_sec * NS_PER_SECOND + used.tv_nsec);
}

static uint64_t connections(const struct worker *worker) {
    return metrics_read(&worker->metrics, METRIC_CONNECTIONS);
}

static uint64_t streams(const struct worker *worker) {
    return metrics_read(&worker->metrics, METRIC_STREAMS);
}

static const struct {
    const char *family, *type, *help;
    uint64_t (*read)(const struct worker *worker);
    bool is_ns;
} rows[] = {
    {"extproc_worker_connections", "gauge", "Connections that are open, by worker.", connections,
     false},
    {"extproc_worker_streams", "gauge", "gRPC streams that are open, by worker.", streams, false},
    {"extproc_worker_cpu_seconds_total", "counter",
     "Processor time by worker; a rate near 1 is a worker that has no more to give.", cpu_ns, true},
};

static enum status write_workers(const struct report *report, struct buffer *text) {
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        const char *family = rows[row].family;
        enum status status = buffer_append_format(text, "# HELP %s %s\n# TYPE %s %s\n", family,
                                                  rows[row].help, family, rows[row].type);
        for (size_t i = 0; i < report->worker_count && status == STATUS_OK; i++) {
            uint64_t value = rows[row].read(&report->workers[i]);
            uint64_t unit = rows[row].is_ns ? NS_PER_SECOND : 1;
            status = buffer_append_format(text, "%s{worker=\"%zu\"} %" PRIu64, family, i,
                                          value / unit);
            if (status == STATUS_OK && rows[row].is_ns) {
                status = buffer_append_format(text, ".%09" PRIu64, value % unit);
            }
            if (status == STATUS_OK) status = buffer_append_byte(text, '\n');
        }
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

enum status report_write(const struct report *report, struct buffer *text) {
    const struct metrics *sets[METRICS_SETS_MOST];
    struct genai *genais[WORKERS_MOST];
    size_t count = 0;
    while (count < report->other_count && count < OTHERS_MOST) {
        sets[count] = report->others[count];
        count++;
    }
    for (size_t i = 0; i < report->worker_count; i++) {
        sets[count++] = &report->workers[i].metrics;
        genais[i] = &report->workers[i].genai;
    }
    enum status status = metrics_write(sets, count, text);
    if (status == STATUS_OK) status = write_workers(report, text);
    if (status != STATUS_OK) return status;
    return genai_write(report->catalogue, genais, report->worker_count, text);
}
