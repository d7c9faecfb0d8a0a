// SPDX-License-Identifier: Apache-2.0
// A connection with a health check, a processor's stream and a long message is served again and
// again, and each time another allocation fails: nothing breaks, nothing is kept.
// Link: -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
#include "extproc/grpc/call.h"
#include "tests/unit/extproc/http2/client.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool is_counting;
static size_t allocation, failing;

static bool must_fail(void) {
    return is_counting && ++allocation == failing;
}

void *__wrap_malloc(size_t size) {
    return must_fail() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return must_fail() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *memory, size_t size) {
    return must_fail() ? NULL : __real_realloc(memory, size);
}

static const struct process_options process = {.body_limit_bytes = 1 << 20};
static struct metrics metrics;
static struct budget budget;
static struct budget streams_budget;
static atomic_int phase;
static struct grpc_server server = {.process = &process,
                                    .metrics = &metrics,
                                    .budget = &budget,
                                    .streams_budget = &streams_budget,
                                    .phase = &phase};
static const struct http2_options options = {.streams_most = 100};

// What a client sends, in the pieces in which it sent them.
static struct buffer pieces[8];
static size_t piece_count;

static void record(struct client *client) {
    client_flush(client);
    assert_int_equal(client->server_status, STATUS_OK);
    assert_int_equal(buffer_append(&pieces[piece_count++], buffer_bytes(&client->to_server)),
                     STATUS_OK);
    client_receive(client);
}

static void record_client(void) {
    struct client client;
    struct http2_session *session;
    assert_int_equal(
        http2_session_new(&options, &grpc_call_handler, &server, NS_PER_SECOND, &session),
        STATUS_OK);
    client_init(&client, session, 65535);
    int32_t check = client_request(&client, "/grpc.health.v1.Health/Check");
    client_send(&client, check, BYTES_LITERAL("\0\0\0\0\0"));
    client_end(&client, check);
    int32_t stream = client_request(&client,
                                    "/envoy.service.ext_proc.v3.ExternalProcessor/Process");
    client_send(&client, stream, BYTES_LITERAL("\0\0\0\0\4\x12\2\x0a\0"));  // request_headers{}
    record(&client);
    client_send(&client, stream, BYTES_LITERAL("\0\0\1\0\0"));
    uint8_t half[1 << 15] = {0};
    client_send(&client, stream, bytes_of(half, sizeof(half)));
    record(&client);
    client_reset(&client, stream);
    client_end(&client, client_request(&client, "/nope"));
    record(&client);
    record(&client);
    http2_session_free(session);
    client_done(&client);
}

static void replay(void) {
    struct http2_session *session;
    struct buffer output = {0};
    if (http2_session_new(&options, &grpc_call_handler, &server, NS_PER_SECOND, &session) !=
        STATUS_OK) {
        return;
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < piece_count && status == STATUS_OK; i++) {
        status = http2_session_receive(session, buffer_bytes(&pieces[i]), NS_PER_SECOND);
        output.len = 0;
        enum status sent = http2_session_send(session, &output, SIZE_MAX);
        if (status == STATUS_OK) status = sent;
        if (i == 1) http2_session_drain(session, NS_PER_SECOND);
    }
    buffer_done(&output);
    http2_session_free(session);
}

static void test_call_memory__survives_each_failed_allocation(void **state) {
    (void)state;
    record_client();
    failing = 0;
    do {
        failing++;
        allocation = 0;
        is_counting = true;
        replay();
        is_counting = false;
        assert_int_equal(budget.used, 0);
        assert_int_equal(metrics_read(&metrics, METRIC_STREAMS), 0);
    } while (allocation >= failing);
    assert_in_range(failing, 30, 10000);
    for (size_t i = 0; i < piece_count; i++) buffer_done(&pieces[i]);
}
