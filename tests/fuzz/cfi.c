// SPDX-License-Identifier: Apache-2.0
// The unwind table's reader over any bytes as an image. The first byte says where the header lies,
// the second where to ask first; then every 16th address is asked for.
#include <stdlib.h>
#include <string.h>

#include "pprof/stack/cfi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    size_t header = data[0];
    size_t first = data[1];
    // Memory of its own size: one byte behind it is a report.
    size_t len = size - 2;
    uint8_t *bytes = malloc(len);
    if (bytes == NULL) return 0;
    memcpy(bytes, data + 2, len);
    const struct cfi_image image = {
        .start = (uintptr_t)bytes, .end = (uintptr_t)bytes + len, .eh_frame_hdr = bytes + header};
    for (size_t at = first; at < len; at += 16) {
        struct cfi_row row = {99, 99};
        enum status status = cfi_find_row(&image, image.start + at, &row);
        if (status != STATUS_OK && (row.reg != 99 || row.offset != 99)) abort();
    }
    free(bytes);
    return 0;
}
