// SPDX-License-Identifier: Apache-2.0
// The body of a reply. The first byte says of which kind and where the body is cut; whole and cut,
// it must tell the same. As an event stream, the lines are those that a plain look finds.
#include <stdlib.h>
#include <string.h>

#include "extproc/process/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct process_options options = {
    .body_limit_bytes = 1 << 20,
    .sse_line_limit_bytes = 128,
};

static void require(bool is_so) {
    if (!is_so) abort();
}

static void add(struct reply *reply, const uint8_t *data, size_t size, bool is_last,
                struct message_answer *answer) {
    struct arena arena;
    uint8_t *body = calloc(1, size + MESSAGE_BODY_PADDING);
    require(body != NULL);
    if (size != 0) memcpy(body, data, size);
    arena_init(&arena, NULL, 0, 8 << 20);
    reply_add(reply, body, size, is_last, &arena, answer);
    arena_reset(&arena);
    free(body);
}

// Reads the body in pieces of `step` bytes.
static void read_body(enum reply_kind kind, const uint8_t *data, size_t size, size_t step,
                      struct metrics *metrics, struct usage *ret_usage) {
    struct reply reply;
    struct message_answer answer = {0};
    reply_init(&reply, &options, metrics);
    reply.kind = kind;
    while (size > step) {
        add(&reply, data, step, false, &answer);
        require(answer.metadata_count == 0);
        data += step;
        size -= step;
    }
    add(&reply, data, size, true, &answer);
    require(reply.kind == REPLY_UNREAD);
    require(answer.metadata_count <= MESSAGE_METADATA_MOST);
    *ret_usage = reply.usage;
    reply_done(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    enum reply_kind kind = data[0] & 1 ? REPLY_EVENTS : REPLY_JSON;
    size_t step = (size_t)(data[0] >> 1) + 1;
    struct metrics whole_metrics = {0}, cut_metrics = {0};
    struct usage whole, cut;
    read_body(kind, data + 1, size - 1, size, &whole_metrics, &whole);
    read_body(kind, data + 1, size - 1, step, &cut_metrics, &cut);
    require(memcmp(&whole, &cut, sizeof(whole)) == 0);
    for (int i = 0; i < METRIC_COUNT; i++) {
        require(metrics_read(&whole_metrics, (enum metric)i) ==
                metrics_read(&cut_metrics, (enum metric)i));
    }
    return 0;
}
