// SPDX-License-Identifier: Apache-2.0
#include "extproc/message/body.c"

#include <stdlib.h>

#include "extproc/message/ext_proc.pb-c.h"

static struct buffer out;

static int teardown(void **state) {
    (void)state;
    buffer_done(&out);
    out = (struct buffer){0};
    return 0;
}

// What the library reads of it.
static void assert_written(const struct message_answer *answer, int kind, const char *want,
                           int mutation) {
    out.len = 0;
    assert_int_equal(body_encode(answer, BYTES_LITERAL("\x28\x01"), &out), STATUS_OK);
    ExtProc__ProcessingResponse *response = ext_proc__processing_response__unpack(NULL, out.len,
                                                                                  out.data);
    assert_non_null(response);
    assert_int_equal(response->response_case, kind);
    const ExtProc__BodyMutation *change = response->request_body->response->body_mutation;
    assert_true(response->request_body->response->clear_route_cache);
    assert_int_equal(change->mutation_case, mutation);
    bool is_streamed = mutation == EXT_PROC__BODY_MUTATION__MUTATION_STREAMED_RESPONSE;
    ProtobufCBinaryData body = is_streamed ? change->streamed_response->body : change->body;
    assert_int_equal(body.len, strlen(want));
    if (body.len != 0) assert_memory_equal(body.data, want, body.len);
    if (is_streamed) {
        assert_int_equal(change->streamed_response->end_of_stream, answer->body_is_last);
    }
    ext_proc__processing_response__free_unpacked(response, NULL);
}

static void test_body__parts_are_written_as_one(void **state) {
    (void)state;
    struct message_answer answer = {
        .kind = MESSAGE_REQUEST_BODY,
        .body_change = MESSAGE_BODY_REPLACED,
        .body = {BYTES_LITERAL("ab"), BYTES_LITERAL("cd"), BYTES_LITERAL("e")},
    };
    assert_written(&answer, 3, "abcde", EXT_PROC__BODY_MUTATION__MUTATION_BODY);
    answer.kind = MESSAGE_RESPONSE_BODY;
    assert_written(&answer, 4, "abcde", EXT_PROC__BODY_MUTATION__MUTATION_BODY);
    answer.body_change = MESSAGE_BODY_PASSED;
    for (int is_last = 0; is_last < 2; is_last++) {
        answer.body_is_last = is_last;
        assert_written(&answer, 4, "abcde", EXT_PROC__BODY_MUTATION__MUTATION_STREAMED_RESPONSE);
    }
    answer = (struct message_answer){.kind = MESSAGE_REQUEST_BODY,
                                     .body_change = MESSAGE_BODY_PASSED};
    assert_written(&answer, 3, "", EXT_PROC__BODY_MUTATION__MUTATION_STREAMED_RESPONSE);
    // Empty, but there: the piece goes.
    answer.body_change = MESSAGE_BODY_REPLACED;
    assert_written(&answer, 3, "", EXT_PROC__BODY_MUTATION__MUTATION_BODY);
}

// Lengths that need one, two and three bytes, at each depth.
static void test_body__any_length_is_written(void **state) {
    (void)state;
    char *text = malloc(20001);
    assert_non_null(text);
    memset(text, 'x', 20001);
    static const size_t lengths[] = {0,   1,   117, 118, 119, 120,   121,   122,   123,   124,
                                     125, 126, 127, 128, 129, 16370, 16376, 16383, 16384, 20000};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        text[lengths[i]] = '\0';
        struct message_answer answer = {
            .kind = MESSAGE_RESPONSE_BODY,
            .body_change = MESSAGE_BODY_PASSED,
            .body = {[1] = bytes_of(text, lengths[i])},
            .body_is_last = i % 2 == 0,
        };
        assert_written(&answer, 4, text, EXT_PROC__BODY_MUTATION__MUTATION_STREAMED_RESPONSE);
        text[lengths[i]] = 'x';
    }
    free(text);
}

static void test_body__nothing_is_appended_when_memory_ends(void **state) {
    (void)state;
    struct message_answer answer = {
        .kind = MESSAGE_REQUEST_BODY,
        .body_change = MESSAGE_BODY_REPLACED,
        .body = {BYTES_LITERAL("ab")},
    };
    out.limit = 9;
    assert_int_equal(body_encode(&answer, BYTES_EMPTY, &out), STATUS_TOO_LARGE);
    assert_int_equal(out.len, 0);
    out.limit = 10;
    assert_int_equal(body_encode(&answer, BYTES_EMPTY, &out), STATUS_OK);
    assert_int_equal(out.len, 10);
}
