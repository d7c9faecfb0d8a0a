// SPDX-License-Identifier: Apache-2.0
// A whole ext_proc stream: messages, each behind a length of two bytes (0xffff: one that is too
// long to be collected), decoded, decided on and answered. Whatever comes, an answer is a valid
// ProcessingResponse of the kind of its message, and an ended stream stays ended.
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "extproc/budget.h"
#include "extproc/genai.h"
#include "extproc/message/ext_proc.pb-c.h"
#include "extproc/metrics.h"
#include "extproc/process/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct genai_catalogue catalogue = GENAI_CATALOGUE_INIT;
static struct budget budget = {.most = 1 << 20};

static const struct process_options options = {
    .body_limit_bytes = 4096,
    .asks_for_usage = true,
    .budget = &budget,
};

static void require(bool is_so) {
    if (!is_so) abort();
}

// With `is_early` the answer to a body may be the one that the headers were owed.
static void check_answer(struct bytes message, struct bytes answer, bool is_early) {
    static const int cases[] = {[2] = 1, [3] = 2, [4] = 3, [5] = 4, [6] = 5, [7] = 6};
    ExtProc__ProcessingResponse *response = ext_proc__processing_response__unpack(NULL, answer.len,
                                                                                  answer.data);
    require(response != NULL);
    bool is_immediate = response->response_case ==
                        EXT_PROC__PROCESSING_RESPONSE__RESPONSE_IMMEDIATE_RESPONSE;
    if (!is_immediate && message.data != NULL) {
        ExtProc__ProcessingRequest *request = ext_proc__processing_request__unpack(
            NULL, message.len, message.data);
        require(request != NULL);
        int want = cases[request->request_case];
        require((int)response->response_case == want ||
                (is_early && want == 3 && (int)response->response_case == 1));
        ext_proc__processing_request__free_unpacked(request, NULL);
    }
    ext_proc__processing_response__free_unpacked(response, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct genai genai = {.catalogue = &catalogue};
    struct metrics metrics = {.genai = &genai};
    struct buffer answer = {0};
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    struct process_stream *stream = process_stream_new(&options, &metrics, &arena);
    bool is_over = false;
    require(stream != NULL);
    while (size >= 2) {
        size_t length = (size_t)data[0] << 8 | data[1];
        bool is_too_long = length == 0xffff;
        data += 2;
        size -= 2;
        if (length > size) length = is_too_long ? 0 : size;
        // Memory of exactly that length, so that a read past its end is seen.
        uint8_t *copy = malloc(length + 1);
        require(copy != NULL);
        memcpy(copy, data, length);
        struct bytes message = is_too_long ? BYTES_EMPTY : bytes_of(copy, length);
        answer.len = 0;
        struct process_verdict verdict =
            is_too_long
                ? process_stream_refuse(
                      stream, size % 2 == 0 ? PROCESS_TOO_LARGE : PROCESS_OVERLOADED, 1, &answer)
                : process_stream_receive(stream, message, 1, &answer);
        require(verdict.has_answer == (answer.len != 0));
        require(verdict.grpc_message != NULL);
        require(!is_over || (verdict.ends_stream && !verdict.has_answer));
        if (verdict.has_answer) check_answer(message, buffer_bytes(&answer), verdict.has_more);
        while (verdict.has_more) {
            answer.len = 0;
            verdict = process_stream_more(stream, &answer);
            require(verdict.has_answer && !verdict.ends_stream);
            check_answer(message, buffer_bytes(&answer), false);
        }
        is_over = verdict.ends_stream;
        free(copy);
        data += length;
        size -= length;
    }
    process_stream_close(stream, 2);
    process_stream_free(stream);
    genai_done(&genai);
    arena_reset(&arena);
    require(budget.used == 0);
    buffer_done(&answer);
    return 0;
}
