// SPDX-License-Identifier: Apache-2.0
// Messages that we read and write without it, against the protobuf library.
#include <stdlib.h>
#include <string.h>

#include "extproc/message/body.h"
#include "extproc/message/ext_proc.pb-c.h"
#include "extproc/message/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so) {
    if (!is_so) abort();
}

static bool are_equal(ProtobufCBinaryData theirs, struct bytes ours) {
    return bytes_equal(bytes_of(theirs.data, theirs.len), ours);
}

static void check_part(const ExtProc__ProcessingRequest *request, const struct message *message,
                       struct bytes headers) {
    static const int cases[] = {
        [MESSAGE_REQUEST_HEADERS] = 2,
        [MESSAGE_RESPONSE_HEADERS] = 3,
        [MESSAGE_REQUEST_BODY] = 4,
        [MESSAGE_RESPONSE_BODY] = 5,
    };
    require((int)request->request_case == cases[message->kind]);
    if (message->kind == MESSAGE_REQUEST_BODY || message->kind == MESSAGE_RESPONSE_BODY) {
        require(are_equal(request->request_body->body, message->body));
        require(request->request_body->end_of_stream == message->end_of_stream);
    } else {
        require(are_equal(request->request_headers->headers, headers));
        require(request->request_headers->end_of_stream == message->end_of_stream);
    }
}

// What we take for plain, the library takes for the same.
static void check_decode(struct bytes serialised) {
    struct message message;
    struct bytes headers;
    if (!plain_decode(serialised, &message, &headers)) return;
    ExtProc__ProcessingRequest *request = ext_proc__processing_request__unpack(NULL, serialised.len,
                                                                               serialised.data);
    require(request != NULL && request->n_attributes == 0);
    check_part(request, &message, headers);
    require(request->observability_mode == message.is_observed);
    const ExtProc__ProtocolConfiguration *modes = request->protocol_config;
    require((modes != NULL) == message.has_modes);
    if (modes != NULL) {
        require(modes->request_body_mode == message.modes.request_body);
        require(modes->response_body_mode == message.modes.response_body);
        require(modes->send_body_without_waiting_for_header_response ==
                message.modes.sends_body_early);
    }
    ext_proc__processing_request__free_unpacked(request, NULL);
}

// The library reads what we write, cut into parts at two places.
static void check_encode(struct bytes body, uint8_t how) {
    struct buffer out = {0};
    size_t first = body.len * (how & 3) / 3, second = (body.len - first) * (how >> 2 & 3) / 3;
    const struct message_answer answer = {
        .kind = how & 16 ? MESSAGE_REQUEST_BODY : MESSAGE_RESPONSE_BODY,
        .body_change = how & 32 ? MESSAGE_BODY_PASSED : MESSAGE_BODY_REPLACED,
        .body = {bytes_of(body.data, first), bytes_of(body.data + first, second),
                 bytes_of(body.data + first + second, body.len - first - second)},
        .body_is_last = how & 64,
    };
    require(body_encode(&answer, BYTES_EMPTY, &out) == STATUS_OK);
    ExtProc__ProcessingResponse *response = ext_proc__processing_response__unpack(NULL, out.len,
                                                                                  out.data);
    require(response != NULL);
    const ExtProc__BodyMutation *change = response->request_body->response->body_mutation;
    ProtobufCBinaryData got = how & 32 ? change->streamed_response->body : change->body;
    require(bytes_equal(bytes_of(got.data, got.len), body));
    if (how & 32) require(change->streamed_response->end_of_stream == answer.body_is_last);
    ext_proc__processing_response__free_unpacked(response, NULL);
    buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    uint8_t *copy = malloc(size);
    require(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    check_decode(bytes_of(copy, size - 1));
    check_encode(bytes_of(copy, size - 1), data[0]);
    free(copy);
    return 0;
}
