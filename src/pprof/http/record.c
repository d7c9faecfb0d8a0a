// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/record.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"

enum { PATH_BYTES_MOST = 256, QUERY_BYTES_MOST = 512, METHOD_BYTES_MOST = 32 };

// Rows for all that a program may serve and columns for all that it may answer; what is in neither
// is counted under the last.
enum { PROFILES_MOST = 48 };
static const unsigned statuses[] = {200, 304, 307, 400, 401, 403, 404, 413, 429, 500, 503, 0};
static const char OTHER[] = "other";

/* atomic */
static _Atomic(const char *) profiles[PROFILES_MOST];
static atomic_ullong counts[PROFILES_MOST][COUNT_OF(statuses)];
static atomic_ullong refusals[REFUSAL_COUNT];

static const char *const refusal_words[REFUSAL_COUNT] = {
#define ROW(name, word) [name] = word,
    REFUSAL_TABLE(ROW)
#undef ROW
};

// A name takes the first free place when it is first counted. Names are static and few.
static size_t place_of(const char *profile) {
    for (size_t i = 0; i < PROFILES_MOST - 1; i++) {
        const char *taken = NULL;
        if (atomic_compare_exchange_strong(&profiles[i], &taken, profile)) return i;
        if (strcmp(taken, profile) == 0) return i;
    }
    return PROFILES_MOST - 1;
}

static size_t column_of(unsigned status) {
    size_t column = 0;
    while (column < COUNT_OF(statuses) - 1 && statuses[column] != status) column++;
    return column;
}

static void add(atomic_ullong *count) {
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static uint64_t read_count(atomic_ullong *count) {
    return atomic_load_explicit(count, memory_order_relaxed);
}

void record_refusal(enum refusal refusal) {
    add(&refusals[refusal]);
}

static size_t length_of_run(struct bytes text) {
    size_t len = 0;
    while (len < text.len && (token_may_hold(text.data[len]) || text.data[len] == '%')) len++;
    return len;
}

enum status record_write_masked(struct bytes text, size_t limit, struct buffer *out) {
    size_t start = out->len;
    while (text.len != 0 && out->len - start < limit) {
        size_t run = length_of_run(text);
        bool is_masked = run >= TOKEN_BYTES_LEAST;
        if (run == 0) run = 1;
        struct bytes shown = is_masked ? BYTES_LITERAL("*") : bytes_of(text.data, run);
        enum status status = buffer_append(out, shown);
        if (status != STATUS_OK) return status;
        text = bytes_of(text.data + run, text.len - run);
    }
    return STATUS_OK;
}

static const char *describe_auth(const struct record *record) {
    if (record->token[0] != '\0') return "token";
    return record->has_secret ? "unknown" : "none";
}

static void write_line(const struct record *record, const char *method, struct bytes path,
                       struct bytes query, int64_t now_ns) {
    struct buffer masked_method = {0};
    struct buffer masked_path = {0};
    struct buffer masked_query = {0};
    enum status status = record_write_masked(bytes_of_text(method), METHOD_BYTES_MOST,
                                             &masked_method);
    if (status == STATUS_OK) status = record_write_masked(path, PATH_BYTES_MOST, &masked_path);
    if (status == STATUS_OK) status = record_write_masked(query, QUERY_BYTES_MOST, &masked_query);
    // Without memory the line is shorter, and still there.
    log_audit(
        "pprof request", log_text("peer", record->peer), log_text("auth", describe_auth(record)),
        log_text("token", record->token), log_bytes("method", buffer_bytes(&masked_method)),
        log_bytes("path", buffer_bytes(&masked_path)),
        log_bytes("query", buffer_bytes(&masked_query)), log_text("profile", record->profile),
        log_number("status", record->status), log_text("refused", refusal_words[record->refusal]),
        log_number("seconds", record->seconds), log_number("bytes", (int64_t)record->sent_bytes),
        log_number("duration_us", (now_ns - record->start_ns) / 1000));
    buffer_done(&masked_method);
    buffer_done(&masked_path);
    buffer_done(&masked_query);
}

void record_answer(const struct record *record) {
    size_t place = place_of(record->profile != NULL ? record->profile : OTHER);
    add(&counts[place][column_of(record->status)]);
    if (record->refusal != REFUSAL_NONE) record_refusal(record->refusal);
}

void record_end(const struct record *record, const char *method, struct bytes path,
                struct bytes query, int64_t now_ns) {
    if (record->status == 0) record_answer(record);
    bool is_served_quietly = record->is_quiet && record->refusal == REFUSAL_NONE;
    if (!is_served_quietly) write_line(record, method, path, query, now_ns);
}

void record_visit_requests(void (*visit)(const char *, unsigned, uint64_t, void *), void *context) {
    for (size_t i = 0; i < PROFILES_MOST; i++) {
        const char *profile = atomic_load(&profiles[i]);
        for (size_t j = 0; j < COUNT_OF(statuses); j++) {
            uint64_t count = read_count(&counts[i][j]);
            if (count != 0) visit(profile != NULL ? profile : OTHER, statuses[j], count, context);
        }
    }
}

void record_visit_refusals(void (*visit)(const char *, uint64_t, void *), void *context) {
    for (size_t i = REFUSAL_NONE + 1; i < REFUSAL_COUNT; i++) {
        visit(refusal_words[i], read_count(&refusals[i]), context);
    }
}

uint64_t record_request_count(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < PROFILES_MOST; i++) {
        for (size_t j = 0; j < COUNT_OF(statuses); j++) sum += read_count(&counts[i][j]);
    }
    return sum;
}
