// SPDX-License-Identifier: Apache-2.0
// Inflating in pieces and into little room, against all at once. The first byte is the size of the
// pieces, the second that of the room.
#include <stdlib.h>
#include <string.h>

#include "extproc/process/unzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_BYTES = 1 << 16 };

static void require(bool is_so) {
    if (!is_so) abort();
}

static enum status inflate_all(const uint8_t *data, size_t size, size_t step, size_t room_bytes,
                               struct buffer *plain) {
    struct unzip *unzip = unzip_new(MOST_BYTES);
    uint8_t *room = malloc(room_bytes);
    enum status status = STATUS_TRUNCATED;
    struct bytes part;
    require(unzip != NULL && room != NULL);
    while (size != 0 && status == STATUS_TRUNCATED) {
        size_t length = size < step ? size : step;
        uint8_t *piece = malloc(length);
        require(piece != NULL);
        memcpy(piece, data, length);
        unzip_add(unzip, bytes_of(piece, length));
        while ((status = unzip_next(unzip, room, room_bytes, &part)) == STATUS_OK) {
            require(part.len != 0 && buffer_append(plain, part) == STATUS_OK);
        }
        free(piece);
        data += length;
        size -= length;
    }
    unzip_free(unzip);
    free(room);
    require(plain->len <= MOST_BYTES);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct buffer whole = {0}, cut = {0};
    enum status status = inflate_all(data + 2, size - 2, size, MOST_BYTES + 1, &whole);
    enum status cut_status = inflate_all(data + 2, size - 2, (size_t)data[0] + 1,
                                         (size_t)data[1] + 1, &cut);
    // What is found before a fault, or before too much, depends on the room.
    bool is_good = status == STATUS_TRUNCATED;
    require(is_good == (cut_status == STATUS_TRUNCATED));
    if (is_good) require(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    buffer_done(&whole);
    buffer_done(&cut);
    return 0;
}
