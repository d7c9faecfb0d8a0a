// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/unzip.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

struct unzip {
    z_stream stream;
    bool has_begun;   // the format is known
    bool is_between;  // the end of a gzip member: another one may follow (RFC 1952 section 2.2)
    bool is_padded;   // what followed is no member: padding, which gzip(1) ignores, too
    size_t left_bytes;
};

struct unzip *unzip_new(size_t most_bytes) {
    struct unzip *unzip = calloc(1, sizeof(*unzip));
    if (unzip != NULL) unzip->left_bytes = most_bytes;
    return unzip;
}

void unzip_free(struct unzip *unzip) {
    if (unzip == NULL) return;
    if (unzip->has_begun) inflateEnd(&unzip->stream);
    free(unzip);
}

void unzip_add(struct unzip *unzip, struct bytes piece) {
    assert(unzip->stream.avail_in == 0 && piece.len <= UINT_MAX);
    unzip->stream.next_in = (uint8_t *)(uintptr_t)piece.data;  // only read
    unzip->stream.avail_in = (unsigned)piece.len;
}

// "Note: Some non-conformant implementations send the "deflate" compressed data without the zlib
// wrapper." (RFC 9110 section 8.4.1.2) The first byte tells: a zlib one has method 8 and a window
// of at most 32 KB in it, a gzip one is 0x1f.
static enum status begin(struct unzip *unzip) {
    uint8_t first = *unzip->stream.next_in;
    bool is_wrapped = (first & 0x8f) == 0x08 || first == 0x1f;
    enum { DETECT = 32 };
    int result = inflateInit2(&unzip->stream, is_wrapped ? MAX_WBITS + DETECT : -MAX_WBITS);
    if (result != Z_OK) return STATUS_NO_MEMORY;
    unzip->has_begun = true;
    return STATUS_OK;
}

static enum status run(struct unzip *unzip) {
    enum { MEMBER_BEGINS = 0x1f };
    unzip->is_padded |= unzip->is_between && *unzip->stream.next_in != MEMBER_BEGINS;
    if (unzip->is_padded) {
        unzip->stream.avail_in = 0;
        return STATUS_OK;
    }
    if (unzip->is_between) inflateReset(&unzip->stream);
    int result = inflate(&unzip->stream, Z_NO_FLUSH);
    unzip->is_between = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR) return STATUS_NO_MEMORY;
    // Z_BUF_ERROR: there was nothing to do, which is no error.
    bool is_good = result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
    return is_good ? STATUS_OK : STATUS_MALFORMED;
}

enum status unzip_next(struct unzip *unzip, uint8_t *room, size_t room_bytes,
                       struct bytes *ret_plain) {
    z_stream *stream = &unzip->stream;
    if (stream->avail_in == 0 && !unzip->has_begun) return STATUS_TRUNCATED;
    if (!unzip->has_begun) {
        enum status status = begin(unzip);
        if (status != STATUS_OK) return status;
    }
    stream->next_out = room;
    stream->avail_out = (unsigned)room_bytes;
    // A member may end without having brought anything.
    do {
        // What fits into the room exactly may leave something behind that needs no more input.
        if (stream->avail_in == 0 && unzip->is_between) break;
        enum status status = run(unzip);
        if (status != STATUS_OK) return status;
    } while (stream->avail_out == room_bytes && stream->avail_in != 0);
    size_t len = room_bytes - stream->avail_out;
    if (len == 0) return STATUS_TRUNCATED;
    if (len > unzip->left_bytes) return STATUS_TOO_LARGE;
    unzip->left_bytes -= len;
    *ret_plain = bytes_of(room, len);
    return STATUS_OK;
}
