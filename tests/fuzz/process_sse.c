// SPDX-License-Identifier: Apache-2.0
// The splitter of event streams against a slow one that sees the whole stream. The first byte is
// the size of the pieces.
#include <stdlib.h>
#include <string.h>

#include "extproc/process/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so) {
    if (!is_so) abort();
}

// A data line's value is followed by a mark that no value holds.
static void note(struct buffer *log, struct bytes value) {
    require(buffer_append(log, value) == STATUS_OK);
}

static void note_line(struct buffer *log, struct bytes line) {
    if (line.len < 5 || memcmp(line.data, "data:", 5) != 0) return;
    size_t start = line.len > 5 && line.data[5] == ' ' ? 6 : 5;
    note(log, bytes_of(line.data + start, line.len - start));
    note(log, BYTES_LITERAL("\n"));
}

static void split_slowly(const uint8_t *data, size_t size, struct buffer *log) {
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && data[i] != '\n' && data[i] != '\r') continue;
        note_line(log, bytes_of(data + start, i - start));
        start = i + 1;
    }
}

static void split(const uint8_t *data, size_t size, size_t step, struct buffer *log) {
    struct sse sse = {0};
    while (size != 0) {
        size_t length = size < step ? size : step;
        uint8_t *piece = malloc(length);
        struct bytes value;
        enum sse_part part;
        require(piece != NULL);
        memcpy(piece, data, length);
        sse_add(&sse, bytes_of(piece, length));
        while ((part = sse_next(&sse, &value)) != SSE_MORE) {
            require(part != SSE_DATA || value.len != 0);
            if (part != SSE_BEGIN) note(log, part == SSE_DATA ? value : BYTES_LITERAL("\n"));
        }
        free(piece);
        data += length;
        size -= length;
    }
    if (sse_end(&sse)) note(log, BYTES_LITERAL("\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct buffer log = {0}, slow_log = {0};
    split(data + 1, size - 1, (size_t)data[0] + 1, &log);
    split_slowly(data + 1, size - 1, &slow_log);
    require(bytes_equal(buffer_bytes(&log), buffer_bytes(&slow_log)));
    buffer_done(&log);
    buffer_done(&slow_log);
    return 0;
}
