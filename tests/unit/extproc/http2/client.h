// SPDX-License-Identifier: Apache-2.0
// A real HTTP/2 client (nghttp2's). Its other side is a session in memory, where what one sends the
// other receives until both are quiet, or a socket.
#pragma once

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "extproc/http2/session.h"

// What came back on a stream.
struct reply {
    char http_status[8];
    char grpc_status[8];
    char grpc_message[128];
    struct buffer body;
    size_t header_sections;  // 1: the response or trailers only, 2: with trailers
    bool is_ended;           // the server ended its side
    bool is_closed;
    uint32_t close_code;
    struct buffer request;  // what is still to be sent
    bool request_ends;      // after it
    bool is_deferred;
};

enum { CLIENT_STREAMS_MOST = 16384 };

struct client {
    nghttp2_session *nghttp2;
    struct http2_session *server;
    enum status server_status;  // the first failure of the session
    int fd;                     // without a session
    bool has_eof;               // the socket's other side has closed
    int64_t now_ns;
    size_t piece_bytes;     // how much the server gets at once; 0: all
    struct reply *replies;  // by stream number / 2
    size_t goaway_count;
    uint32_t goaway_code;
    int32_t goaway_last_stream;
    size_t ping_count;        // PINGs of the server
    size_t pong_count;        // answers to ours
    struct buffer to_server;  // what the client sent last, for those who look
};

static struct reply *client_reply(struct client *client, int32_t id) {
    return &client->replies[id / 2];
}

static int client_on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_len, const uint8_t *value,
                            size_t value_len, uint8_t flags, void *user_data) {
    (void)nghttp2, (void)flags;
    struct reply *reply = client_reply(user_data, frame->hd.stream_id);
    struct {
        const char *name;
        char *room;
        size_t size;
    } kept[] = {
        {":status", reply->http_status, sizeof(reply->http_status)},
        {"grpc-status", reply->grpc_status, sizeof(reply->grpc_status)},
        {"grpc-message", reply->grpc_message, sizeof(reply->grpc_message)},
    };
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        if (!bytes_equal(bytes_of(name, name_len), bytes_of_text(kept[i].name))) continue;
        snprintf(kept[i].room, kept[i].size, "%.*s", (int)value_len, (const char *)value);
    }
    return 0;
}

static int client_on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data) {
    (void)nghttp2;
    struct client *client = user_data;
    bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->goaway_count++;
        client->goaway_code = frame->goaway.error_code;
        client->goaway_last_stream = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_PING && !is_ack) client->ping_count++;
    if (frame->hd.type == NGHTTP2_PING && is_ack) client->pong_count++;
    if (frame->hd.stream_id == 0) return 0;
    struct reply *reply = client_reply(client, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS) reply->header_sections++;
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
        reply->is_ended |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    }
    return 0;
}

static int client_on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t len, void *user_data) {
    (void)nghttp2, (void)flags;
    return buffer_append(&client_reply(user_data, id)->body, bytes_of(data, len)) == STATUS_OK
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int client_on_close(nghttp2_session *nghttp2, int32_t id, uint32_t code, void *user_data) {
    (void)nghttp2;
    client_reply(user_data, id)->is_closed = true;
    client_reply(user_data, id)->close_code = code;
    return 0;
}

static nghttp2_ssize client_read(nghttp2_session *nghttp2, int32_t id, uint8_t *room, size_t size,
                                 uint32_t *flags, nghttp2_data_source *source, void *user_data) {
    (void)nghttp2, (void)source;
    struct reply *reply = client_reply(user_data, id);
    size_t len = reply->request.len < size ? reply->request.len : size;
    if (len == 0 && !reply->request_ends) {
        reply->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (len != 0) memcpy(room, reply->request.data, len);
    buffer_remove_front(&reply->request, len);
    if (reply->request.len == 0 && reply->request_ends) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (nghttp2_ssize)len;
}

// `window_bytes`: how much the server may send ahead, of each stream and of the connection.
static void client_init(struct client *client, struct http2_session *server,
                        uint32_t window_bytes) {
    *client = (struct client){.server = server, .now_ns = NS_PER_SECOND};
    client->replies = calloc(CLIENT_STREAMS_MOST, sizeof(*client->replies));
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_on_close);
    nghttp2_option *option;
    nghttp2_option_new(&option);
    nghttp2_option_set_peer_max_concurrent_streams(option, 1 << 20);
    nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
    nghttp2_session_client_new2(&client->nghttp2, callbacks, client, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window_bytes},
    };
    nghttp2_submit_settings(client->nghttp2, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings));
}

static void client_done(struct client *client) {
    nghttp2_session_del(client->nghttp2);
    for (size_t i = 0; i < CLIENT_STREAMS_MOST; i++) {
        buffer_done(&client->replies[i].body);
        buffer_done(&client->replies[i].request);
    }
    free(client->replies);
    buffer_done(&client->to_server);
}

static int32_t client_request_as(struct client *client, const char *method, const char *path,
                                 const char *type) {
    const char *const fields[][2] = {{":method", method}, {":scheme", "http"},
                                     {":path", path},     {":authority", "x"},
                                     {"te", "trailers"},  {"content-type", type}};
    nghttp2_nv encoded[COUNT_OF(fields)];
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        encoded[i] = (nghttp2_nv){.name = (uint8_t *)fields[i][0],
                                  .namelen = strlen(fields[i][0]),
                                  .value = (uint8_t *)fields[i][1],
                                  .valuelen = strlen(fields[i][1])};
    }
    nghttp2_data_provider2 body = {.read_callback = client_read};
    return nghttp2_submit_request2(client->nghttp2, NULL, encoded, COUNT_OF(fields), &body, NULL);
}

// Begins a request; its stream's number.
static int32_t client_request(struct client *client, const char *path) {
    return client_request_as(client, "POST", path, "application/grpc");
}

static void client_send(struct client *client, int32_t id, struct bytes bytes) {
    struct reply *reply = client_reply(client, id);
    if (buffer_append(&reply->request, bytes) != STATUS_OK) abort();
    if (!reply->is_deferred) return;
    reply->is_deferred = false;
    nghttp2_session_resume_data(client->nghttp2, id);
}

// The client ends its side of the stream.
static void client_end(struct client *client, int32_t id) {
    client_reply(client, id)->request_ends = true;
    client_send(client, id, BYTES_EMPTY);
}

static void client_reset(struct client *client, int32_t id) {
    nghttp2_submit_rst_stream(client->nghttp2, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
}

// Gives the server bytes in pieces of piece_bytes.
static void client_feed_server(struct client *client, struct bytes bytes) {
    size_t piece = client->piece_bytes != 0 ? client->piece_bytes : bytes.len;
    while (bytes.len != 0 && client->server_status == STATUS_OK) {
        struct bytes one = {bytes.data, bytes.len < piece ? bytes.len : piece};
        client->server_status = http2_session_receive(client->server, one, client->now_ns);
        bytes = bytes_of(bytes.data + one.len, bytes.len - one.len);
    }
}

// Client to server; whether anything was sent.
static bool client_flush(struct client *client) {
    client->to_server.len = 0;
    const uint8_t *data;
    nghttp2_ssize len;
    while ((len = nghttp2_session_mem_send2(client->nghttp2, &data)) > 0) {
        if (buffer_append(&client->to_server, bytes_of(data, (size_t)len)) != STATUS_OK) abort();
    }
    client_feed_server(client, buffer_bytes(&client->to_server));
    return client->to_server.len != 0;
}

// Server to client; whether anything was sent.
static bool client_receive(struct client *client) {
    struct buffer output = {0};
    enum status status = http2_session_send(client->server, &output, SIZE_MAX);
    if (client->server_status == STATUS_OK) client->server_status = status;
    bool is_any = output.len != 0;
    if (is_any) nghttp2_session_mem_recv2(client->nghttp2, output.data, output.len);
    buffer_done(&output);
    return is_any;
}

// Both ways until both are quiet.
static void client_run(struct client *client) {
    bool is_any = true;
    while (is_any) {
        is_any = client_flush(client);
        is_any |= client_receive(client);
    }
}

// Over the socket: sends and receives until `is_done` says so. False: the other side has closed, or
// nothing came for 20 seconds.
static bool client_wait(struct client *client, bool (*is_done)(const struct client *client)) {
    for (;;) {
        const uint8_t *data;
        nghttp2_ssize len;
        while ((len = nghttp2_session_mem_send2(client->nghttp2, &data)) > 0) {
            if (send(client->fd, data, (size_t)len, MSG_NOSIGNAL) != len) return false;
        }
        if (is_done(client)) return true;
        struct pollfd readable = {.fd = client->fd, .events = POLLIN};
        if (poll(&readable, 1, 20000) != 1) return false;
        uint8_t input[4096];
        ssize_t received = recv(client->fd, input, sizeof(input), 0);
        if (received <= 0) {
            client->has_eof = true;
            return is_done(client);
        }
        nghttp2_session_mem_recv2(client->nghttp2, input, (size_t)received);
    }
}
