// SPDX-License-Identifier: Apache-2.0
// The client side of one Health/Check on a fresh connection, without I/O: what /health asks the own
// listener. It knows no more HTTP/2 than that takes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum probe_verdict { PROBE_WAIT, PROBE_SERVING, PROBE_NOT_SERVING, PROBE_BROKEN };

// All-zero is the start.
struct probe {
    uint8_t header[9];  // of the frame that is being read
    size_t header_len;
    size_t payload_len;  // how much of it has come
    uint8_t answer[16];  // the bytes of the response's DATA frames
    size_t answer_len;
};

// What to send, all at once. It lives for ever.
struct bytes probe_request(void);

// Takes what comes back; PROBE_WAIT until the answer is there.
enum probe_verdict probe_read(struct probe *probe, struct bytes bytes);
