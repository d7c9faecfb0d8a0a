// SPDX-License-Identifier: Apache-2.0
// A gzip file, written piece by piece into a buffer. The only place that knows zlib.
#pragma once

#include <zlib.h>

#include "base/bytes.h"

struct gzip {
    z_stream stream;
    struct buffer *out;  // borrowed
};

// Level 1, as Go's profiles: the time to the first byte counts more than the size.
// STATUS_NO_MEMORY. Then gzip_done in any case.
MUST_USE enum status gzip_init(struct gzip *gzip, struct buffer *out);
MUST_USE enum status gzip_write(struct gzip *gzip, struct bytes bytes);
MUST_USE enum status gzip_finish(struct gzip *gzip);
void gzip_done(struct gzip *gzip);
