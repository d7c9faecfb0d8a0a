// SPDX-License-Identifier: Apache-2.0
// The splitter of event streams against a slow one that sees the whole stream. The first byte is
// the longest line, the second the size of the pieces.
#include <stdlib.h>
#include <string.h>

#include "extproc/process/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so) {
    if (!is_so) abort();
}

// Appends a data line's value and a mark that no value holds.
static void note(struct buffer *log, struct bytes value) {
    require(buffer_append(log, value) == STATUS_OK);
    require(buffer_append_byte(log, '\n') == STATUS_OK);
}

static void note_line(struct buffer *log, struct bytes line, size_t limit, uint64_t *skipped) {
    if (line.len > limit) {
        ++*skipped;
        return;
    }
    if (line.len < 5 || memcmp(line.data, "data:", 5) != 0) return;
    size_t start = line.len > 5 && line.data[5] == ' ' ? 6 : 5;
    note(log, bytes_of(line.data + start, line.len - start));
}

static uint64_t split_slowly(const uint8_t *data, size_t size, size_t limit, struct buffer *log) {
    uint64_t skipped = 0;
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && data[i] != '\n' && data[i] != '\r') continue;
        note_line(log, bytes_of(data + start, i - start), limit, &skipped);
        start = i + 1;
    }
    return skipped;
}

static void drain(struct sse *sse, struct buffer *log) {
    struct bytes value;
    while (sse_next(sse, &value)) note(log, value);
}

static uint64_t split(const uint8_t *data, size_t size, size_t limit, size_t step,
                      struct buffer *log) {
    struct sse sse;
    sse_init(&sse, limit);
    while (size != 0) {
        size_t length = size < step ? size : step;
        uint8_t *piece = malloc(length);
        require(piece != NULL);
        memcpy(piece, data, length);
        sse_add(&sse, bytes_of(piece, length));
        drain(&sse, log);
        free(piece);
        data += length;
        size -= length;
    }
    sse_end(&sse);
    drain(&sse, log);
    uint64_t skipped = sse.skipped_count;
    sse_done(&sse);
    return skipped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct buffer log = {0}, slow_log = {0};
    size_t limit = (size_t)data[0] + 1, step = (size_t)data[1] + 1;
    uint64_t skipped = split(data + 2, size - 2, limit, step, &log);
    require(skipped == split_slowly(data + 2, size - 2, limit, &slow_log));
    require(bytes_equal(buffer_bytes(&log), buffer_bytes(&slow_log)));
    buffer_done(&log);
    buffer_done(&slow_log);
    return 0;
}
