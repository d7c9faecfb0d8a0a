// SPDX-License-Identifier: Apache-2.0
// Undoes a content-encoding of gzip or deflate (RFC 9110 section 8.4.1) while the body passes, cut
// anywhere. Each byte is looked at once; what is held does not grow with the body (some 40 KB, from
// the first byte on).
//
//     unzip_add(unzip, piece);
//     while ((status = unzip_next(unzip, room, sizeof(room), &plain)) == STATUS_OK) …
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct unzip;

// At most `most_bytes` are inflated: a small body can make endless ones. NULL: no memory.
struct unzip *unzip_new(size_t most_bytes);
void unzip_free(struct unzip *unzip);

// The piece must stay until unzip_next returned something other than STATUS_OK.
void unzip_add(struct unzip *unzip, struct bytes piece);

// The next plain bytes, which are in `room`. STATUS_TRUNCATED: a piece is needed; and after which
// nothing more can be read: STATUS_MALFORMED, STATUS_TOO_LARGE, STATUS_NO_MEMORY.
MUST_USE enum status unzip_next(struct unzip *unzip, uint8_t *room, size_t room_bytes,
                                struct bytes *ret_plain);
