// SPDX-License-Identifier: Apache-2.0
// The counters and gauges behind /metrics, as one table. Each thread owns a set and is the only one
// that writes it, so counting costs a plain add; a scrape sums the sets. To add a metric, add a row
// (rows of one family stay together).
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "extproc/histogram.h"

//       metric                         family, labels, type, help (said by a family's first row)
#define METRICS_TABLE(ROW)                                                                         \
    ROW(METRIC_REQUESTS_ROUTED, "extproc_requests_total", "outcome=\"routed\"", "counter",         \
        "HTTP requests by what was decided on them.")                                              \
    ROW(METRIC_REQUESTS_PASSED, "extproc_requests_total", "outcome=\"passed\"", "counter", "")     \
    ROW(METRIC_REQUESTS_MODELS, "extproc_requests_total", "outcome=\"models_listed\"", "counter",  \
        "")                                                                                        \
    ROW(METRIC_REQUESTS_MALFORMED, "extproc_requests_total", "outcome=\"malformed_json\"",         \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_MODEL_MISSING, "extproc_requests_total", "outcome=\"model_missing\"",      \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_MODEL_INVALID, "extproc_requests_total", "outcome=\"model_invalid\"",      \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_MODEL_DUPLICATE, "extproc_requests_total", "outcome=\"model_duplicate\"",  \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_BODY_MISSING, "extproc_requests_total", "outcome=\"body_missing\"",        \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_TOO_LARGE, "extproc_requests_total", "outcome=\"body_too_large\"",         \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_BODY_ENCODED, "extproc_requests_total", "outcome=\"body_encoded\"",        \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_NOT_BUFFERED, "extproc_requests_total", "outcome=\"body_not_buffered\"",   \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_OVERLOADED, "extproc_requests_total", "outcome=\"overloaded\"", "counter", \
        "")                                                                                        \
    ROW(METRIC_REQUESTS_FAILED, "extproc_requests_total", "outcome=\"failed\"", "counter", "")     \
    ROW(METRIC_RESPONSES_USAGE, "extproc_responses_total", "outcome=\"usage_read\"", "counter",    \
        "HTTP responses by what was found in them.")                                               \
    ROW(METRIC_RESPONSES_NO_USAGE, "extproc_responses_total", "outcome=\"no_usage\"", "counter",   \
        "")                                                                                        \
    ROW(METRIC_RESPONSES_PASSED, "extproc_responses_total", "outcome=\"passed\"", "counter", "")   \
    ROW(METRIC_RESPONSES_UNREADABLE, "extproc_responses_total", "outcome=\"unreadable\"",          \
        "counter", "")                                                                             \
    ROW(METRIC_RESPONSES_CUT, "extproc_responses_total", "outcome=\"cut\"", "counter", "")         \
    ROW(METRIC_SSE_LINES_UNREADABLE, "extproc_sse_lines_skipped_total", "reason=\"unreadable\"",   \
        "counter", "Lines of event streams that were not read; clients got them.")                 \
    ROW(METRIC_UPSTREAM_KNOWN, "extproc_upstream_streams_total", "backend=\"named\"", "counter",   \
        "Streams of the filter behind the router by whether Envoy named the backend.")             \
    ROW(METRIC_UPSTREAM_UNKNOWN, "extproc_upstream_streams_total", "backend=\"unknown\"",          \
        "counter", "")                                                                             \
    ROW(METRIC_REQUESTS_USAGE_ASKED, "extproc_requests_changed_total", "change=\"include_usage\"", \
        "counter", "Requests whose body was changed on its way.")                                  \
    ROW(METRIC_MESSAGES_UNDECODABLE, "extproc_messages_odd_total", "reason=\"undecodable\"",       \
        "counter", "Messages from Envoy that were not understood or came out of order.")           \
    ROW(METRIC_MESSAGES_OUT_OF_ORDER, "extproc_messages_odd_total", "reason=\"out_of_order\"",     \
        "counter", "")                                                                             \
    ROW(METRIC_TOKENS_INPUT, "extproc_tokens_total", "type=\"input\"", "counter",                  \
        "Tokens that backends reported.")                                                          \
    ROW(METRIC_TOKENS_CACHED_INPUT, "extproc_tokens_total", "type=\"cached_input\"", "counter",    \
        "")                                                                                        \
    ROW(METRIC_TOKENS_OUTPUT, "extproc_tokens_total", "type=\"output\"", "counter", "")            \
    ROW(METRIC_TOKENS_REASONING, "extproc_tokens_total", "type=\"reasoning\"", "counter", "")      \
    ROW(METRIC_TOKENS_TOTAL, "extproc_tokens_total", "type=\"total\"", "counter", "")              \
    ROW(METRIC_STREAMS, "extproc_streams_in_flight", "", "gauge",                                  \
        "gRPC streams that are open, health checks included.")                                     \
    ROW(METRIC_STREAMS_OPENED, "extproc_streams_total", "", "counter",                             \
        "gRPC streams that were opened, health checks included.")                                  \
    ROW(METRIC_REFUSED_METHOD, "extproc_streams_refused_total", "reason=\"unknown_method\"",       \
        "counter", "gRPC streams that were ended with an error before or instead of an answer.")   \
    ROW(METRIC_REFUSED_CONTENT_TYPE, "extproc_streams_refused_total", "reason=\"content_type\"",   \
        "counter", "")                                                                             \
    ROW(METRIC_REFUSED_COMPRESSED, "extproc_streams_refused_total", "reason=\"compressed\"",       \
        "counter", "")                                                                             \
    ROW(METRIC_REFUSED_MESSAGE, "extproc_streams_refused_total", "reason=\"message\"", "counter",  \
        "")                                                                                        \
    ROW(METRIC_REFUSED_TOO_LARGE, "extproc_streams_refused_total", "reason=\"message_too_large\"", \
        "counter", "")                                                                             \
    ROW(METRIC_REFUSED_MEMORY, "extproc_streams_refused_total", "reason=\"memory_limit\"",         \
        "counter", "")                                                                             \
    ROW(METRIC_REFUSED_STREAMS, "extproc_streams_refused_total", "reason=\"streams_limit\"",       \
        "counter", "")                                                                             \
    ROW(METRIC_MESSAGES, "extproc_messages_total", "", "counter",                                  \
        "gRPC messages that were received whole, health checks included.")                         \
    ROW(METRIC_BODY_BYTES, "extproc_body_bytes", "", "gauge",                                      \
        "Memory of bodies on their way; past --total-body-limit no new ones are taken.")           \
    ROW(METRIC_BODY_BYTES_LIMIT, "extproc_body_bytes_limit", "", "gauge",                          \
        "What --total-body-limit comes to.")                                                       \
    ROW(METRIC_STREAMS_LIMIT, "extproc_streams_limit", "", "gauge",                                \
        "What --total-streams comes to; 0: no limit.")                                             \
    ROW(METRIC_CONNECTIONS, "extproc_connections", "", "gauge", "Connections that are open.")      \
    ROW(METRIC_CONNECTIONS_LIMIT, "extproc_connections_limit", "", "gauge",                        \
        "What --connections comes to.")                                                            \
    ROW(METRIC_CONNECTIONS_ACCEPTED, "extproc_connections_total", "outcome=\"accepted\"",          \
        "counter", "Connections that came.")                                                       \
    ROW(METRIC_CONNECTIONS_REFUSED, "extproc_connections_total", "outcome=\"over_limit\"",         \
        "counter", "")                                                                             \
    ROW(METRIC_CONNECTIONS_BROKEN, "extproc_connections_closed_total",                             \
        "reason=\"protocol_error\"", "counter",                                                    \
        "Connections that the processor closed for a reason other than draining.")                 \
    ROW(METRIC_CONNECTIONS_SILENT, "extproc_connections_closed_total", "reason=\"silent\"",        \
        "counter", "")                                                                             \
    ROW(METRIC_ACCEPT_ERRORS, "extproc_accept_errors_total", "", "counter",                        \
        "Failed accepts, out of file descriptors above all.")                                      \
    ROW(METRIC_RECEIVED_BYTES, "extproc_received_bytes_total", "", "counter",                      \
        "Bytes read from gRPC connections.")                                                       \
    ROW(METRIC_SENT_BYTES, "extproc_sent_bytes_total", "", "counter",                              \
        "Bytes written to gRPC connections.")                                                      \
    ROW(METRIC_SERVING, "extproc_drain_state", "state=\"serving\"", "gauge",                       \
        "1 for what the processor does: serve, still take requests after SIGTERM, or finish.")     \
    ROW(METRIC_DRAINING, "extproc_drain_state", "state=\"draining\"", "gauge", "")                 \
    ROW(METRIC_CLOSING, "extproc_drain_state", "state=\"closing\"", "gauge", "")                   \
    ROW(METRIC_WORKERS, "extproc_workers", "", "gauge", "Loops that serve connections.")

enum metric {
#define ROW(metric, family, labels, type, help) metric,
    METRICS_TABLE(ROW)
#undef ROW
        METRIC_COUNT,
};

enum { METRICS_SETS_MOST = 260 };

struct genai;

// One thread's set, all zero at first. Aligned so that two threads never share a cache line.
struct metrics {
    /* atomic; written by the owning thread only, with plain loads and stores */
    _Alignas(64) _Atomic uint64_t values[METRIC_COUNT];
    struct histogram message_duration;

    struct genai *genai;     // where requests are told to; NULL: nowhere
    uint32_t vouched_label;  // the observer's, of the model that was served last; own thread only
};

// Messages were answered so long after their bytes were read. Context: the set's own thread.
void metrics_add_messages(struct metrics *metrics, int64_t duration_ns, uint64_t count);

// Context: the set's own thread.
static inline void metrics_add(struct metrics *metrics, enum metric metric, uint64_t amount) {
    uint64_t value = atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
    atomic_store_explicit(&metrics->values[metric], value + amount, memory_order_relaxed);
}

// For gauges: takes back what metrics_add added. Context: the set's own thread.
static inline void metrics_subtract(struct metrics *metrics, enum metric metric, uint64_t amount) {
    metrics_add(metrics, metric, 0 - amount);
}

// Context: any thread.
static inline uint64_t metrics_read(const struct metrics *metrics, enum metric metric) {
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

// Appends the sums of `count` sets, at most METRICS_SETS_MOST, as Prometheus text 0.0.4. Context:
// any thread.
MUST_USE enum status metrics_write(const struct metrics *const *sets, size_t count,
                                   struct buffer *text);
