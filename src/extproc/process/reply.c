// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/reply.h"

#include "base/attributes.h"
#include "base/clock.h"

// What is inflated at a time.
enum { PLAIN_ROOM_BYTES = 16 * 1024 };

void reply_init(struct reply *reply, const struct process_options *options,
                struct metrics *metrics) {
    memset(reply, 0, offsetof(struct reply, reader));
    reply->options = options;
    reply->metrics = metrics;
    alike_init(&reply->alike);
}

void reply_done(struct reply *reply) {
    if (reply->kind != REPLY_UNREAD) metrics_add(reply->metrics, METRIC_RESPONSES_CUT, 1);
    unzip_free(reply->unzip);
}

/* headers */

// Whether a content-type is of this type and subtype, whatever its parameters.
static bool is_media_type(struct bytes content_type, struct bytes wanted) {
    if (content_type.len < wanted.len) return false;
    if (!bytes_equal_ignoring_case(bytes_of(content_type.data, wanted.len), wanted)) return false;
    if (content_type.len == wanted.len) return true;
    uint8_t behind = content_type.data[wanted.len];
    return behind == ';' || behind == ' ' || behind == '\t';
}

// RFC 9110 section 8.4.1: x-gzip is gzip, and identity none.
static bool prepare_encoding(struct reply *reply, struct bytes encoding) {
    static const struct {
        struct bytes name;
        bool is_compressed;
    } known[] = {
        {BYTES_LITERAL("identity"), false},
        {BYTES_LITERAL("gzip"), true},
        {BYTES_LITERAL("x-gzip"), true},
        {BYTES_LITERAL("deflate"), true},
    };
    if (encoding.len == 0) return true;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (!bytes_equal_ignoring_case(encoding, known[i].name)) continue;
        if (!known[i].is_compressed) return true;
        reply->unzip = unzip_new(reply->options->body_limit_bytes);
        return reply->unzip != NULL;
    }
    return false;
}

static enum reply_kind choose_kind(const struct message *headers) {
    struct bytes status = message_find_header(headers, BYTES_LITERAL(":status"));
    struct bytes type = message_find_header(headers, BYTES_LITERAL("content-type"));
    if (headers->end_of_stream) return REPLY_UNREAD;
    if (!bytes_equal(status, BYTES_LITERAL("200"))) return REPLY_UNREAD;
    if (is_media_type(type, BYTES_LITERAL("text/event-stream"))) return REPLY_EVENTS;
    if (is_media_type(type, BYTES_LITERAL("application/json"))) return REPLY_JSON;
    return REPLY_UNREAD;
}

void reply_start(struct reply *reply, const struct message *headers) {
    struct bytes encoding = message_find_header(headers, BYTES_LITERAL("content-encoding"));
    enum reply_kind kind = choose_kind(headers);
    if (kind == REPLY_UNREAD || !prepare_encoding(reply, encoding)) {
        metrics_add(reply->metrics, METRIC_RESPONSES_PASSED, 1);
        return;
    }
    reply->kind = kind;
    usage_begin(&reply->reader);
}

void reply_give_up(struct reply *reply) {
    if (reply->kind == REPLY_UNREAD) return;
    reply->kind = REPLY_UNREAD;
    metrics_add(reply->metrics, METRIC_RESPONSES_UNREADABLE, 1);
}

/* events */

static void add_event_part(struct reply *reply, struct bytes part) {
    if (reply->event_bytes < sizeof(reply->event_head)) {
        size_t room = sizeof(reply->event_head) - reply->event_bytes;
        memcpy(reply->event_head + reply->event_bytes, part.data,
               part.len < room ? part.len : room);
    }
    reply->event_bytes += part.len;
    (void)usage_add(&reply->reader, part, &reply->usage);  // usage_end says the same
}

// The event with the end of its line, if it came in one piece.
static void end_event(struct reply *reply, struct bytes event, int64_t now_ns) {
    struct bytes head = bytes_of(reply->event_head, sizeof(reply->event_head));
    bool is_done = reply->event_bytes == sizeof(reply->event_head) &&
                   bytes_equal(head, BYTES_LITERAL("[DONE]"));
    bool is_read = usage_end(&reply->reader);
    if (is_read && reply->first_ns == 0) reply->first_ns = now_ns;
    if (!is_read && !is_done) metrics_add(reply->metrics, METRIC_SSE_LINES_UNREADABLE, 1);
    reply->event_bytes = 0;
    usage_begin(&reply->reader);
    alike_keep(&reply->alike, is_read ? event : BYTES_EMPTY);
}

static void add_events(struct reply *reply, struct bytes piece, int64_t now_ns) {
    struct sse *sse = &reply->sse;
    struct bytes data;
    const uint8_t *start = NULL;  // of the event; NULL: it began in an earlier piece
    size_t alike;
    sse_add(sse, piece);
    for (;;) {
        switch (sse_next(sse, &data)) {
        case SSE_MORE: return;
        case SSE_BEGIN:
            start = sse->piece.data;
            alike = alike_measure(&reply->alike, sse->piece);
            if (alike != 0) sse_pass(sse, alike);
            break;
        case SSE_DATA: add_event_part(reply, data); break;
        case SSE_END:
            data = bytes_of(start, start != NULL ? (size_t)(sse->piece.data - start) : 0);
            end_event(reply, data, now_ns);
            break;
        }
    }
}

/* bodies */

// Plain bytes. False: they are not what they should be.
static bool add_plain(struct reply *reply, struct bytes piece, int64_t now_ns) {
    if (reply->kind == REPLY_JSON) return usage_add(&reply->reader, piece, &reply->usage);
    add_events(reply, piece, now_ns);
    return true;
}

static bool add_compressed(struct reply *reply, struct bytes piece, int64_t now_ns) {
    uint8_t room[PLAIN_ROOM_BYTES] UNINITIALIZED;
    struct bytes plain;
    enum status status;
    unzip_add(reply->unzip, piece);
    while ((status = unzip_next(reply->unzip, room, sizeof(room), &plain)) == STATUS_OK) {
        if (!add_plain(reply, plain, now_ns)) return false;
    }
    return status == STATUS_TRUNCATED;
}

void reply_add(struct reply *reply, struct bytes piece, int64_t now_ns) {
    if (reply->kind == REPLY_UNREAD || piece.len == 0) return;
    bool is_good = reply->unzip != NULL ? add_compressed(reply, piece, now_ns)
                                        : add_plain(reply, piece, now_ns);
    if (!is_good) reply_give_up(reply);
}

/* the end */

bool reply_is_whole(const struct reply *reply) {
    return reply->kind == REPLY_JSON && scan_is_whole(&reply->reader.scan);
}

static void add_number(struct message_answer *answer, struct bytes key, double number) {
    answer->metadata[answer->metadata_count++] = (struct message_metadata){
        .key = key,
        .number = number,
    };
}

static void report_counts(struct reply *reply, struct message_answer *answer) {
    static const struct {
        struct bytes key;
        enum metric metric;
    } rows[USAGE_KIND_COUNT] = {
        [USAGE_INPUT] = {BYTES_LITERAL("llm_input_token"), METRIC_TOKENS_INPUT},
        [USAGE_CACHED_INPUT] = {BYTES_LITERAL("llm_cached_input_token"),
                                METRIC_TOKENS_CACHED_INPUT},
        [USAGE_OUTPUT] = {BYTES_LITERAL("llm_output_token"), METRIC_TOKENS_OUTPUT},
        [USAGE_REASONING] = {BYTES_LITERAL("llm_reasoning_token"), METRIC_TOKENS_REASONING},
        [USAGE_TOTAL] = {BYTES_LITERAL("llm_total_token"), METRIC_TOKENS_TOTAL},
    };
    for (size_t i = 0; i < USAGE_KIND_COUNT; i++) {
        struct usage_count count = reply->usage.counts[i];
        if (!count.is_known) continue;
        metrics_add(reply->metrics, rows[i].metric, count.tokens);
        add_number(answer, rows[i].key, (double)count.tokens);
    }
}

int64_t reply_per_token_ns(const struct reply *reply, int64_t now_ns) {
    struct usage_count output = reply->usage.counts[USAGE_OUTPUT];
    if (reply->first_ns == 0 || !output.is_known || output.tokens < 2) return -1;
    return (now_ns - reply->first_ns) / (int64_t)(output.tokens - 1);
}

// In milliseconds.
static void report_latency(const struct reply *reply, int64_t now_ns,
                           struct message_answer *answer) {
    if (reply->first_ns == 0) return;
    double ms = (double)NS_PER_SECOND / 1000;
    add_number(answer, BYTES_LITERAL("token_latency_ttft"),
               (double)(reply->first_ns - reply->asked_ns) / ms);
    int64_t per_token_ns = reply_per_token_ns(reply, now_ns);
    if (per_token_ns >= 0)
        add_number(answer, BYTES_LITERAL("token_latency_itl"), (double)per_token_ns / ms);
}

static void report(struct reply *reply, int64_t now_ns, struct message_answer *answer) {
    const struct usage *usage = &reply->usage;
    metrics_add(reply->metrics,
                usage_is_known(usage) ? METRIC_RESPONSES_USAGE : METRIC_RESPONSES_NO_USAGE, 1);
    report_counts(reply, answer);
    report_latency(reply, now_ns, answer);
    if (usage->model_bytes == 0) return;
    answer->metadata[answer->metadata_count++] = (struct message_metadata){
        .key = BYTES_LITERAL("response_model"),
        .is_text = true,
        .text = bytes_of(usage->model, usage->model_bytes),
    };
}

void reply_end(struct reply *reply, int64_t now_ns, struct message_answer *answer) {
    switch (reply->kind) {
    case REPLY_UNREAD: return;
    case REPLY_JSON:
        if (usage_end(&reply->reader)) break;
        reply_give_up(reply);
        return;
    case REPLY_EVENTS:
        if (sse_end(&reply->sse)) end_event(reply, BYTES_EMPTY, now_ns);
        break;
    }
    reply->kind = REPLY_UNREAD;
    report(reply, now_ns, answer);
}
