// SPDX-License-Identifier: Apache-2.0
// The physical limit of the benches: a gRPC server on nghttp2 and libuv that answers each message
// of a stream without looking at it, the first as the request's headers, the second as its body,
// the third as the reply's headers, all others as its body. One loop, no limits, no checks: what it
// costs is HTTP/2 and the kernel. With --pieces it asks for every reply's body in pieces.
#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    INPUT_BYTES = 256 << 10,
    OUTPUT_BYTES = 64 << 10,
    WINDOW_BYTES = 16 << 20,
    PREFIX_BYTES = 5,
    ANSWER_BYTES = PREFIX_BYTES + 10,
};

// "Go on", for each kind of message: ProcessingResponse{request_headers{response{}}} and so on; the
// last is the reply's headers again, with mode_override{response_body_mode: STREAMED,
// response_trailer_mode: SEND}.
static const uint8_t answers[5][ANSWER_BYTES] = {
    {0, 0, 0, 0, 4, 0x0a, 2, 0x0a, 0},
    {0, 0, 0, 0, 4, 0x1a, 2, 0x0a, 0},
    {0, 0, 0, 0, 4, 0x12, 2, 0x0a, 0},
    {0, 0, 0, 0, 4, 0x22, 2, 0x0a, 0},
    {0, 0, 0, 0, 10, 0x12, 2, 0x0a, 0, 0x4a, 4, 0x20, 1, 0x30, 1},
};
// Which of them is sent first, second, third and then always.
static unsigned order[4] = {0, 1, 2, 3};

struct stream {
    uint8_t prefix[PREFIX_BYTES];
    size_t prefix_len, left;  // of the message that comes
    unsigned owed, answered;
    bool is_deferred;
};

struct connection {
    uv_tcp_t tcp;
    nghttp2_session *session;
};

static uint8_t input[INPUT_BYTES];
static uint8_t output[OUTPUT_BYTES];

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "null: %s\n", #condition);                                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static nghttp2_ssize read_answers(nghttp2_session *session, int32_t id, uint8_t *room, size_t size,
                                  uint32_t *flags, nghttp2_data_source *source, void *context) {
    (void)session, (void)id, (void)flags, (void)context;
    struct stream *stream = source->ptr;
    size_t len = 0;
    for (; stream->answered < stream->owed && len + ANSWER_BYTES <= size; stream->answered++) {
        const uint8_t *answer = answers[order[stream->answered < 3 ? stream->answered : 3]];
        size_t answer_len = PREFIX_BYTES + answer[PREFIX_BYTES - 1];
        memcpy(room + len, answer, answer_len);
        len += answer_len;
    }
    if (len == 0) stream->is_deferred = true;
    return len != 0 ? (nghttp2_ssize)len : NGHTTP2_ERR_DEFERRED;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)context;
    struct stream *stream = calloc(1, sizeof(*stream));
    REQUIRE(stream != NULL);
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)context;
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    int32_t id = frame->hd.stream_id;
    nghttp2_nv fields[] = {
        {(uint8_t *)":status", (uint8_t *)"200", 7, 3, 0},
        {(uint8_t *)"content-type", (uint8_t *)"application/grpc", 12, 16, 0},
    };
    nghttp2_data_provider2 body = {
        .source.ptr = nghttp2_session_get_stream_user_data(session, id),
        .read_callback = read_answers,
    };
    return nghttp2_submit_response2(session, id, fields, 2, &body);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *context) {
    (void)flags, (void)context;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    while (len != 0) {
        if (stream->prefix_len < PREFIX_BYTES) {
            stream->prefix[stream->prefix_len++] = *data++;
            len--;
            if (stream->prefix_len < PREFIX_BYTES) continue;
            uint32_t message_len;
            memcpy(&message_len, stream->prefix + 1, sizeof(message_len));
            stream->left = ntohl(message_len);
        }
        size_t taken = len < stream->left ? len : stream->left;
        data += taken;
        len -= taken;
        stream->left -= taken;
        if (stream->left != 0) break;
        stream->prefix_len = 0;
        stream->owed++;
    }
    if (stream->is_deferred && stream->answered < stream->owed) {
        stream->is_deferred = false;
        return nghttp2_session_resume_data(session, id);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
    (void)code, (void)context;
    free(nghttp2_session_get_stream_user_data(session, id));
    return 0;
}

static void send_all(struct connection *connection) {
    size_t len;
    do {
        len = 0;
        const uint8_t *frame;
        nghttp2_ssize frame_len;
        while (len < OUTPUT_BYTES / 2 &&
               (frame_len = nghttp2_session_mem_send2(connection->session, &frame)) > 0) {
            REQUIRE(len + (size_t)frame_len <= OUTPUT_BYTES);
            memcpy(output + len, frame, (size_t)frame_len);
            len += (size_t)frame_len;
        }
        uv_buf_t buffer = uv_buf_init((char *)output, (unsigned)len);
        // The answers are small and the peer waits for them: there is always room.
        if (len != 0)
            REQUIRE(uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1) == (int)len);
    } while (len != 0);
}

static void lend_input(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    (void)handle, (void)size;
    *buffer = uv_buf_init((char *)input, INPUT_BYTES);
}

static void free_connection(uv_handle_t *handle) {
    struct connection *connection = handle->data;
    nghttp2_session_del(connection->session);
    free(connection);
}

static void on_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buffer) {
    struct connection *connection = tcp->data;
    if (len < 0) {
        uv_close((uv_handle_t *)tcp, free_connection);
        return;
    }
    REQUIRE(nghttp2_session_mem_recv2(connection->session, (uint8_t *)buffer->base, (size_t)len) ==
            len);
    send_all(connection);
}

static nghttp2_session *new_session(void) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_session *session;
    REQUIRE(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    // Every stream of Envoy's ends with a reset.
    nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
    REQUIRE(nghttp2_session_server_new2(&session, callbacks, NULL, option) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    REQUIRE(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) == 0);
    REQUIRE(nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES) ==
            0);
    return session;
}

static void on_connection(uv_stream_t *listener, int status) {
    struct connection *connection = calloc(1, sizeof(*connection));
    REQUIRE(status == 0 && connection != NULL);
    connection->session = new_session();
    connection->tcp.data = connection;
    REQUIRE(uv_tcp_init(listener->loop, &connection->tcp) == 0);
    REQUIRE(uv_accept(listener, (uv_stream_t *)&connection->tcp) == 0);
    uv_tcp_nodelay(&connection->tcp, 1);
    REQUIRE(uv_read_start((uv_stream_t *)&connection->tcp, lend_input, on_read) == 0);
    send_all(connection);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        REQUIRE(argc == 2 && strcmp(argv[1], "--pieces") == 0);
        order[2] = 4;
    }
    uv_tcp_t listener;
    struct sockaddr_in address;
    int size = sizeof(address);
    REQUIRE(uv_ip4_addr("127.0.0.1", 0, &address) == 0);
    REQUIRE(uv_tcp_init(uv_default_loop(), &listener) == 0);
    REQUIRE(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) == 0);
    REQUIRE(uv_listen((uv_stream_t *)&listener, 128, on_connection) == 0);
    REQUIRE(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size) == 0);
    printf("listening address=127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
