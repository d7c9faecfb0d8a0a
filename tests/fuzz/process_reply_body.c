// SPDX-License-Identifier: Apache-2.0
// The body of a reply. The first byte says of which kind and where the body is cut; whole and cut,
// it must tell the same: an event that is whole in a piece and like the one before it is compared
// with that, one that is cut is read. What is said to be compressed is compressed first, or taken
// as it is.
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "extproc/process/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct process_options options = {.body_limit_bytes = 1 << 16};

static void require(bool is_so) {
    if (!is_so) abort();
}

static void start(struct reply *reply, uint8_t kind, struct metrics *metrics) {
    static const char *const encodings[] = {"", "gzip", "deflate", "gzip"};
    const char *encoding = encodings[kind >> 1 & 3];
    struct message_header headers[] = {
        {BYTES_LITERAL(":status"), BYTES_LITERAL("200")},
        {BYTES_LITERAL("content-type"),
         kind & 1 ? BYTES_LITERAL("text/event-stream") : BYTES_LITERAL("application/json")},
        {BYTES_LITERAL("content-encoding"), bytes_of_text(encoding)},
    };
    reply_init(reply, &options, metrics);
    reply_start(reply, &(struct message){.headers = headers, .header_count = 3});
    require(reply->kind == (kind & 1 ? REPLY_EVENTS : REPLY_JSON));
}

// What a reply said.
struct said {
    struct usage usage;
    int64_t first_ns;
    struct metrics metrics;
};

// Reads the body in pieces of `step` bytes.
static void read_body(uint8_t kind, const uint8_t *data, size_t size, size_t step,
                      struct said *ret_said) {
    struct reply reply;
    struct message_answer answer = {0};
    start(&reply, kind, &ret_said->metrics);
    while (size != 0) {
        size_t length = size < step ? size : step;
        uint8_t *piece = malloc(length);
        require(piece != NULL);
        memcpy(piece, data, length);
        reply_add(&reply, bytes_of(piece, length), 1);
        free(piece);
        data += length;
        size -= length;
    }
    reply_end(&reply, 2, &answer);
    require(reply.kind == REPLY_UNREAD);
    require(answer.metadata_count <= MESSAGE_METADATA_MOST);
    ret_said->usage = reply.usage;
    ret_said->first_ns = reply.first_ns;
    reply_done(&reply);
}

static void read_twice(uint8_t kind, const uint8_t *data, size_t size, size_t step) {
    struct said whole = {0}, cut = {0};
    read_body(kind, data, size, size + 1, &whole);
    read_body(kind, data, size, step, &cut);
    require(memcmp(&whole.usage, &cut.usage, sizeof(whole.usage)) == 0);
    require(whole.first_ns == cut.first_ns);
    for (int i = 0; i < METRIC_COUNT; i++) {
        require(metrics_read(&whole.metrics, (enum metric)i) ==
                metrics_read(&cut.metrics, (enum metric)i));
    }
}

static void read_compressed(uint8_t kind, const uint8_t *data, size_t size, size_t step) {
    z_stream stream = {0};
    int bits = (kind >> 1 & 3) == 2 ? (kind & 8 ? -15 : 15) : 31;
    require(deflateInit2(&stream, 1, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t room = deflateBound(&stream, size) + 64;
    uint8_t *out = malloc(room);
    require(out != NULL);
    stream.next_in = (uint8_t *)(uintptr_t)data;
    stream.avail_in = (unsigned)size;
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    read_twice(kind, out, room - stream.avail_out, step);
    deflateEnd(&stream);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    uint8_t kind = data[0] & 15;
    size_t step = (size_t)(data[0] >> 4) * (data[0] >> 4) + 1;
    bool is_raw = (kind >> 1 & 3) == 0 || (kind >> 1 & 3) == 3;
    if (is_raw) {
        read_twice(kind, data + 1, size - 1, step);
    } else {
        read_compressed(kind, data + 1, size - 1, step);
    }
    return 0;
}
