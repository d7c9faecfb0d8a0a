// SPDX-License-Identifier: Apache-2.0
// OpenTelemetry's metrics of generative AI, by operation and model: tokens, durations, latencies.
// https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
//
// What is told apart is bounded: model names come from clients. The sets of labels are in one
// catalogue for all threads, GENAI_SERIES_MOST of them, and past that everything is "other". A name
// is let in by a request that was answered well: who sprays names that nobody serves fills nothing.
// The numbers are each thread's own; a scrape adds them up.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

enum { GENAI_SERIES_MOST = 128, GENAI_NAME_BYTES = 80 };

enum genai_token {
    GENAI_INPUT,
    GENAI_OUTPUT,
    GENAI_CACHED_INPUT,
    GENAI_REASONING,
    GENAI_TOKEN_COUNT,
};

// A request that is over. Texts are borrowed; an empty one is "unknown".
struct genai_request {
    const char *operation;        // "chat"; static text
    struct bytes original_model;  // as the client named it
    struct bytes request_model;   // as the backend was asked for it
    struct bytes response_model;  // as the backend named itself
    const char *error_type;       // NULL: it was answered well
    int64_t duration_ns;
    int64_t first_token_ns;  // of a stream, since the request; below 0: no stream, or none came
    int64_t per_token_ns;    // of a stream, after the first; below 0: the same
    struct genai_count {
        bool is_known;
        uint64_t tokens;
    } tokens[GENAI_TOKEN_COUNT];
};

// The sets of labels of all threads.
struct genai_catalogue {
    pthread_mutex_t lock;
    /* guarded by lock */
    size_t count;
    struct genai_labels {
        uint64_t hash;  // of the rest
        const char *operation;
        char original_model[GENAI_NAME_BYTES], request_model[GENAI_NAME_BYTES];
        char response_model[GENAI_NAME_BYTES];
        char error_type[GENAI_NAME_BYTES];  // empty: none
    } series[GENAI_SERIES_MOST];
};

#define GENAI_CATALOGUE_INIT                                                                       \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

struct genai_series;

// One thread's numbers; all-zero but for the catalogue at first.
struct genai {
    struct genai_catalogue *catalogue;  // borrowed
    /* own thread only */
    const struct genai_labels *latest;  // in the catalogue, of what was recorded last and was good
    /* atomic; written by the own thread */
    _Atomic(struct genai_series *) series[GENAI_SERIES_MOST];  // NULL: none yet
};

// Without memory it is not recorded. Accepts NULL. Context: the own thread.
void genai_record(struct genai *genai, const struct genai_request *request);

// Appends the sums of all threads. Context: any thread.
MUST_USE enum status genai_write(struct genai_catalogue *catalogue, struct genai *const *threads,
                                 size_t count, struct buffer *text);

void genai_done(struct genai *genai);
