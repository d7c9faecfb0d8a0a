// SPDX-License-Identifier: Apache-2.0
// A whole connection: HTTP/2, gRPC, health checks and the processor, fed with bytes. Whatever
// comes, it neither breaks nor keeps anything. The first two bytes of the input say how:
//     bit 0 of the first: the connection's preface is sent before the input
//     bit 1: the connection is drained after the first piece
//     bit 2: output is taken only at the end
//     the second + 1: the length of a piece
#include <stdlib.h>

#include "base/clock.h"
#include "extproc/grpc/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct process_options process = {.body_limit_bytes = 4096};

// False: the connection is over.
static bool take_output(struct http2_session *session) {
    struct buffer output = {0};
    enum status status = http2_session_send(session, &output, SIZE_MAX);
    buffer_done(&output);
    return status == STATUS_OK;
}

static void feed(struct http2_session *session, uint8_t how, size_t piece_bytes,
                 struct bytes input) {
    int64_t now_ns = NS_PER_SECOND;
    struct bytes preface = BYTES_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0");
    if ((how & 1) != 0 && http2_session_receive(session, preface, now_ns) != STATUS_OK) abort();
    while (input.len != 0) {
        struct bytes piece = {input.data, input.len < piece_bytes ? input.len : piece_bytes};
        input = bytes_of(input.data + piece.len, input.len - piece.len);
        if (http2_session_receive(session, piece, now_ns) != STATUS_OK) break;
        if ((how & 2) != 0) http2_session_drain(session, now_ns);
        if ((how & 4) == 0 && !take_output(session)) break;
        now_ns += NS_PER_SECOND;
        if (http2_session_tick(session, now_ns) != STATUS_OK) break;
    }
    (void)take_output(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct metrics metrics = {0};
    struct budget budget = {.most = 1 << 20};
    struct budget streams_budget = {.most = 4};
    atomic_int phase = GRPC_SERVING;
    struct grpc_server server = {.process = &process,
                                 .metrics = &metrics,
                                 .budget = &budget,
                                 .streams_budget = &streams_budget,
                                 .phase = &phase};
    const struct http2_options options = {.streams_most = 16};
    struct http2_session *session;
    if (http2_session_new(&options, &grpc_call_handler, &server, NS_PER_SECOND, &session) !=
        STATUS_OK) {
        abort();
    }
    feed(session, data[0], (size_t)data[1] + 1, bytes_of(data + 2, size - 2));
    http2_session_free(session);
    if (budget.used != 0 || streams_budget.used != 0 || metrics_read(&metrics, METRIC_STREAMS) != 0)
        abort();
    return 0;
}
