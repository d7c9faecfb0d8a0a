// SPDX-License-Identifier: Apache-2.0
#include "extproc/grpc/probe.h"

// Frame types and flags: https://www.rfc-editor.org/rfc/rfc9113.html#section-6
enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7 };
enum { END_STREAM = 1, END_HEADERS = 4 };

#define FRAME(len, type, flags, stream) 0, 0, (len), (type), (flags), 0, 0, 0, (stream)

// Header fields: https://www.rfc-editor.org/rfc/rfc7541.html. An indexed field is 0x80 + its number
// in the static table; a literal one here begins with the number of its name there, or with 0.
static const uint8_t request[] = {
    // clang-format off
    'P', 'R', 'I', ' ', '*', ' ', 'H', 'T', 'T', 'P', '/', '2', '.', '0', '\r', '\n', '\r', '\n',
    'S', 'M', '\r', '\n', '\r', '\n',
    FRAME(0, SETTINGS, 0, 0),
    FRAME(75, HEADERS, END_HEADERS, 1),
    0x83,  // :method POST
    0x86,  // :scheme http
    0x04, 28, '/', 'g', 'r', 'p', 'c', '.', 'h', 'e', 'a', 'l', 't', 'h', '.', 'v', '1', '.',
              'H', 'e', 'a', 'l', 't', 'h', '/', 'C', 'h', 'e', 'c', 'k',
    0x01, 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't',
    0x0f, 0x10, 16, 'a', 'p', 'p', 'l', 'i', 'c', 'a', 't', 'i', 'o', 'n', '/', 'g', 'r', 'p', 'c',
    0x00, 2, 't', 'e', 8, 't', 'r', 'a', 'i', 'l', 'e', 'r', 's',
    FRAME(5, DATA, END_STREAM, 1),
    0, 0, 0, 0, 0,  // an empty HealthCheckRequest: the server as a whole
    // clang-format on
};

static const uint8_t serving[] = {0, 0, 0, 0, 2, 0x08, 1};  // HealthCheckResponse{status: SERVING}

struct bytes probe_request(void) {
    return bytes_of(request, sizeof(request));
}

static size_t frame_len(const struct probe *probe) {
    return (size_t)probe->header[0] << 16 | (size_t)probe->header[1] << 8 | probe->header[2];
}

static enum probe_verdict answer_verdict(const struct probe *probe) {
    if (probe->answer_len < sizeof(serving)) return PROBE_WAIT;
    bool is_serving = bytes_equal(bytes_of(probe->answer, probe->answer_len),
                                  bytes_of(serving, sizeof(serving)));
    return is_serving ? PROBE_SERVING : PROBE_NOT_SERVING;
}

// What a whole frame says.
static enum probe_verdict frame_verdict(const struct probe *probe) {
    uint8_t type = probe->header[3], flags = probe->header[4];
    if (type == DATA) return answer_verdict(probe);
    if (type == RST_STREAM || type == GOAWAY) return PROBE_BROKEN;
    if (type == HEADERS && (flags & END_STREAM) != 0) return PROBE_BROKEN;  // no answer, a status
    return PROBE_WAIT;
}

static enum probe_verdict take_byte(struct probe *probe, uint8_t byte) {
    if (probe->header_len < sizeof(probe->header)) {
        probe->header[probe->header_len++] = byte;
        if (probe->header_len < sizeof(probe->header)) return PROBE_WAIT;
    } else {
        probe->payload_len++;
        if (probe->header[3] == DATA) {
            if (probe->answer_len == sizeof(probe->answer)) return PROBE_BROKEN;
            probe->answer[probe->answer_len++] = byte;
        }
    }
    if (probe->payload_len < frame_len(probe)) return PROBE_WAIT;
    enum probe_verdict verdict = frame_verdict(probe);
    probe->header_len = 0;
    probe->payload_len = 0;
    return verdict;
}

enum probe_verdict probe_read(struct probe *probe, struct bytes bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        enum probe_verdict verdict = take_byte(probe, bytes.data[i]);
        if (verdict != PROBE_WAIT) return verdict;
    }
    return PROBE_WAIT;
}
