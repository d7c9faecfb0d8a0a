// SPDX-License-Identifier: Apache-2.0
#include "pprof_metrics.h"

#include "base/clock.h"
#include "pprof/pprof.h"

// A line that finds no memory is left out.
static void write_request_count(const char *profile, unsigned code, uint64_t count, void *text) {
    enum status status = buffer_append_format(
        text, "pprof_requests_total{profile=\"%s\",status=\"%u\"} %llu\n", profile, code,
        (unsigned long long)count);
    (void)status;
}

static void write_refusal_count(const char *reason, uint64_t count, void *text) {
    enum status status = buffer_append_format(text, "pprof_refused_total{reason=\"%s\"} %llu\n",
                                              reason, (unsigned long long)count);
    (void)status;
}

void pprof_metrics_write(struct buffer *text, void *unused) {
    (void)unused;
    struct pprof_statistics statistics;
    pprof_read_statistics(&statistics);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        {"pprof_up", "gauge", "1 if the profiling endpoint is served", statistics.is_serving},
        {"pprof_cpu_profiles_running", "gauge", "CPU profiles that are being taken",
         statistics.cpu_profiles},
        {"pprof_timed_requests_running", "gauge", "Requests with seconds that are being answered",
         statistics.timed_requests},
        {"pprof_cpu_ticks_total", "counter", "CPU sampling periods recorded",
         statistics.ticks_recorded},
        {"pprof_cpu_ticks_dropped_total", "counter", "CPU sampling periods lost",
         statistics.ticks_dropped},
        {"pprof_threads_unsampled_total", "counter", "Threads that got no CPU timer",
         statistics.threads_unsampled},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum status status = buffer_append_format(
            text, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", rows[i].name, rows[i].help, rows[i].name,
            rows[i].type, rows[i].name, (unsigned long long)rows[i].value);
        if (status != STATUS_OK) return;
    }
    enum status status = buffer_append_format(
        text,
        "# HELP pprof_profiling_seconds_total Seconds that requests with seconds have lasted\n"
        "# TYPE pprof_profiling_seconds_total counter\npprof_profiling_seconds_total %.3f\n"
        "# HELP pprof_requests_total Requests to the profiling endpoint, by profile and status\n"
        "# TYPE pprof_requests_total counter\n",
        (double)statistics.timed_ns / NS_PER_SECOND);
    if (status != STATUS_OK) return;
    pprof_visit_requests(write_request_count, text);
    status = buffer_append_text(
        text, "# HELP pprof_refused_total Requests and connections that were refused, by reason\n"
              "# TYPE pprof_refused_total counter\n");
    if (status == STATUS_OK) pprof_visit_refusals(write_refusal_count, text);
}
