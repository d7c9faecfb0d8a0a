// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/reply.h"

#include "extproc/process/json.h"

_Static_assert((int)MESSAGE_BODY_PADDING >= (int)JSON_PADDING, "bodies are parsed in place");

// Most events fit; a larger one costs a malloc.
enum { EVENT_ROOM_BYTES = 4 * 1024 };

void reply_init(struct reply *reply, const struct process_options *options,
                struct metrics *metrics) {
    *reply = (struct reply){
        .options = options,
        .metrics = metrics,
        .pieces.limit = options->body_limit_bytes,
    };
    sse_init(&reply->sse, options->sse_line_limit_bytes);
}

void reply_done(struct reply *reply) {
    if (reply->kind != REPLY_UNREAD) metrics_add(reply->metrics, METRIC_RESPONSES_CUT, 1);
    buffer_done(&reply->pieces);
    sse_done(&reply->sse);
}

// Whether a content-type is of this type and subtype, whatever its parameters.
static bool is_media_type(struct bytes content_type, struct bytes wanted) {
    size_t length = 0;
    while (length < content_type.len && content_type.data[length] != ';' &&
           content_type.data[length] != ' ' && content_type.data[length] != '\t') {
        length++;
    }
    return bytes_equal_ignoring_case(bytes_of(content_type.data, length), wanted);
}

static enum reply_kind choose_kind(const struct message *headers) {
    struct bytes status = message_find_header(headers, BYTES_LITERAL(":status"));
    struct bytes encoding = message_find_header(headers, BYTES_LITERAL("content-encoding"));
    struct bytes type = message_find_header(headers, BYTES_LITERAL("content-type"));
    bool is_plain = encoding.len == 0 ||
                    bytes_equal_ignoring_case(encoding, BYTES_LITERAL("identity"));
    if (headers->end_of_stream || !is_plain) return REPLY_UNREAD;
    if (!bytes_equal(status, BYTES_LITERAL("200"))) return REPLY_UNREAD;
    if (is_media_type(type, BYTES_LITERAL("text/event-stream"))) return REPLY_EVENTS;
    if (is_media_type(type, BYTES_LITERAL("application/json"))) return REPLY_JSON;
    return REPLY_UNREAD;
}

void reply_start(struct reply *reply, const struct message *headers) {
    reply->kind = choose_kind(headers);
    if (reply->kind == REPLY_UNREAD) metrics_add(reply->metrics, METRIC_RESPONSES_PASSED, 1);
}

void reply_give_up(struct reply *reply) {
    if (reply->kind == REPLY_UNREAD) return;
    reply->kind = REPLY_UNREAD;
    metrics_add(reply->metrics, METRIC_RESPONSES_UNREADABLE, 1);
}

static void report_count(struct reply *reply, const char *key, struct usage_count count,
                         enum metric metric, struct message_answer *answer) {
    if (!count.is_known) return;
    metrics_add(reply->metrics, metric, count.tokens);
    answer->metadata[answer->metadata_count++] = (struct message_metadata){
        .key = key,
        .number = (double)count.tokens,
    };
}

static void report(struct reply *reply, struct message_answer *answer) {
    const struct usage *usage = &reply->usage;
    reply->kind = REPLY_UNREAD;
    metrics_add(reply->metrics,
                usage_is_known(usage) ? METRIC_RESPONSES_USAGE : METRIC_RESPONSES_NO_USAGE, 1);
    answer->metadata_namespace = "io.envoy.ai_gateway";
    report_count(reply, "llm_input_token", usage->input, METRIC_TOKENS_INPUT, answer);
    report_count(reply, "llm_cached_input_token", usage->cached_input, METRIC_TOKENS_CACHED_INPUT,
                 answer);
    report_count(reply, "llm_output_token", usage->output, METRIC_TOKENS_OUTPUT, answer);
    report_count(reply, "llm_total_token", usage->total, METRIC_TOKENS_TOTAL, answer);
    if (usage->model_bytes == 0) return;
    answer->metadata[answer->metadata_count++] = (struct message_metadata){
        .key = "response_model",
        .is_text = true,
        .text = bytes_of(usage->model, usage->model_bytes),
    };
}

/* JSON */

static bool read_whole(struct reply *reply, uint8_t *text, size_t length, struct arena *arena) {
    yyjson_val *root;
    struct fault fault;
    if (length == 0) return false;
    enum status status = json_read_in_place(text, length, arena, &fault, &root);
    if (status == STATUS_OK) usage_take(&reply->usage, root);
    return status == STATUS_OK;
}

static bool read_pieces(struct reply *reply, struct arena *arena) {
    yyjson_val *root;
    struct fault fault;
    enum status status = json_read(buffer_bytes(&reply->pieces), arena, &fault, &root);
    if (status == STATUS_OK) usage_take(&reply->usage, root);
    return status == STATUS_OK;
}

static bool add_json(struct reply *reply, uint8_t *body, size_t body_bytes, bool is_last,
                     struct arena *arena) {
    if (is_last && reply->pieces.len == 0) return read_whole(reply, body, body_bytes, arena);
    if (buffer_append(&reply->pieces, bytes_of(body, body_bytes)) != STATUS_OK) return false;
    return !is_last || read_pieces(reply, arena);
}

/* events */

static void read_events(struct reply *reply) {
    uint8_t room[EVENT_ROOM_BYTES] UNINITIALIZED;
    struct arena arena;
    struct bytes data;
    // A copy of the line, and the tree of a line of short values.
    arena_init(&arena, room, sizeof(room), 8 * reply->options->sse_line_limit_bytes + 64 * 1024);
    while (sse_next(&reply->sse, &data)) {
        yyjson_val *root;
        struct fault fault;
        if (bytes_equal(data, BYTES_LITERAL("[DONE]"))) continue;
        if (json_read(data, &arena, &fault, &root) == STATUS_OK) {
            usage_take(&reply->usage, root);
        } else {
            metrics_add(reply->metrics, METRIC_SSE_LINES_UNREADABLE, 1);
        }
        arena_reset(&arena);
    }
}

static void add_events(struct reply *reply, struct bytes piece, bool is_last) {
    uint64_t skipped_before = reply->sse.skipped_count;
    sse_add(&reply->sse, piece);
    read_events(reply);
    if (is_last) {
        sse_end(&reply->sse);
        read_events(reply);
    }
    metrics_add(reply->metrics, METRIC_SSE_LINES_TOO_LONG,
                reply->sse.skipped_count - skipped_before);
}

void reply_add(struct reply *reply, uint8_t *body, size_t body_bytes, bool is_last,
               struct arena *arena, struct message_answer *answer) {
    switch (reply->kind) {
    case REPLY_UNREAD: return;
    case REPLY_EVENTS: add_events(reply, bytes_of(body, body_bytes), is_last); break;
    case REPLY_JSON:
        if (add_json(reply, body, body_bytes, is_last, arena)) break;
        reply_give_up(reply);
        return;
    }
    if (is_last) report(reply, answer);
}
