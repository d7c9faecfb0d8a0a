// SPDX-License-Identifier: Apache-2.0
// What a server sends compressed.
#pragma once

#include <zlib.h>

// As zlib's windowBits say: gzip, zlib or raw. Returns how much of the room it takes.
static size_t compress_text(int window_bits, const char *text, size_t length, uint8_t *to,
                            size_t room) {
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    stream.next_in = (uint8_t *)(uintptr_t)text;
    stream.avail_in = (unsigned)length;
    stream.next_out = to;
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return room - stream.avail_out;
}
