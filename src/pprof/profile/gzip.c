// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/gzip.h"

enum { GZIP_WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8, ROOM_BYTES = 16 << 10 };

enum status gzip_init(struct gzip *gzip, struct buffer *out) {
    *gzip = (struct gzip){.out = out};
    int result = deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS,
                              MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    return result == Z_OK ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status deflate_all(struct gzip *gzip, int flush) {
    int result;
    do {
        uint8_t *room;
        enum status status = buffer_reserve(gzip->out, ROOM_BYTES, &room);
        if (status != STATUS_OK) return status;
        gzip->stream.next_out = room;
        gzip->stream.avail_out = ROOM_BYTES;
        result = deflate(&gzip->stream, flush);
        if (result == Z_STREAM_ERROR) return STATUS_LIBRARY;
        gzip->out->len += ROOM_BYTES - gzip->stream.avail_out;
    } while (gzip->stream.avail_out == 0);
    return flush != Z_FINISH || result == Z_STREAM_END ? STATUS_OK : STATUS_LIBRARY;
}

enum status gzip_write(struct gzip *gzip, struct bytes bytes) {
    while (bytes.len != 0) {
        uInt piece = bytes.len < UINT32_MAX ? (uInt)bytes.len : UINT32_MAX;
        gzip->stream.next_in = (z_const Bytef *)bytes.data;
        gzip->stream.avail_in = piece;
        enum status status = deflate_all(gzip, Z_NO_FLUSH);
        if (status != STATUS_OK) return status;
        bytes = bytes_of(bytes.data + piece, bytes.len - piece);
    }
    return STATUS_OK;
}

enum status gzip_finish(struct gzip *gzip) {
    gzip->stream.avail_in = 0;
    return deflate_all(gzip, Z_FINISH);
}

void gzip_done(struct gzip *gzip) {
    deflateEnd(&gzip->stream);
}
