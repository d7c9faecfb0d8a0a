// SPDX-License-Identifier: Apache-2.0
// A stand-in for an OpenAI-compatible server: `backend --name a --listen 127.0.0.1:0` prints the
// address it listens on and answers until it is killed. Every answer names the backend and tells
// what arrived (reply.c). A thread for each connection, so an answer may wait or sleep without
// holding up the others. Not for use outside tests.
//
// Request headers change the answer:
//     x-backend-status: N         the status; from 400 on the body is an error
//     x-backend-format: F         text, broken (JSON that stops), empty, or a content-encoding:
//                                 gzip, deflate, raw (deflate without its wrapper), bomb (gzip, and
//                                 64 MiB of spaces behind the reply)
//     x-backend-chunks: N         pieces of text in a stream (8)
//     x-backend-usage: I,C,O,R    input, cached, output and reasoning tokens (10,4,8,0)
//     x-backend-strict: 1         a stream tells its usage only when it is asked to
//     x-backend-echo: 1           the reply has the request's body in it
//     x-backend-trailers: 1       the reply ends with a trailer
//     x-backend-pad: N            bytes added to a whole reply's text
//     x-backend-cut: N            at most N bytes a write, wherever that cuts an event
//     x-backend-delay-ms: N       pause between two writes
//     x-backend-reset-after: N    closes the connection after N bytes of body; 0: before headers
//     x-backend-hold: NAME        waits at a gate: a stream after its first event, others before
//                                 the headers
// POST /backend/release/NAME opens a gate, GET /backend/waiting/NAME says how many wait there.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "hold.h"
#include "reply.h"

enum { BODY_LIMIT_BYTES = 256 << 20, WRITE_BYTES = 64 << 10, CONNECTION_LIMIT = 2000 };

// A request and the reply that is being written.
struct exchange {
    struct question question;
    char *body;
    size_t body_len, body_room;
    bool is_too_large;

    int64_t cut_bytes, delay_ms, reset_after;
    const char *format;
    bool echoes, has_trailers;
    char *hold;

    int64_t piece_index, piece_count;
    char *piece;
    size_t piece_len, piece_offset;
    uint64_t sent_bytes;
};

static const char *backend_name = "backend";

static void fail(const char *what) {
    fprintf(stderr, "backend: %s\n", what);
    exit(1);
}

static void sleep_ms(int64_t ms) {
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static const char *knob(struct MHD_Connection *connection, const char *name, const char *fallback) {
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return text != NULL ? text : fallback;
}

static int64_t knob_number(struct MHD_Connection *connection, const char *name, int64_t fallback) {
    const char *text = knob(connection, name, NULL);
    return text != NULL ? strtoll(text, NULL, 10) : fallback;
}

static void read_knobs(struct MHD_Connection *connection, struct exchange *exchange) {
    struct question *question = &exchange->question;
    question->status = knob_number(connection, "x-backend-status", 200);
    question->chunks = knob_number(connection, "x-backend-chunks", 8);
    question->pad_bytes = knob_number(connection, "x-backend-pad", 0);
    question->is_strict = knob_number(connection, "x-backend-strict", 0) != 0;
    exchange->echoes = knob_number(connection, "x-backend-echo", 0) != 0;
    exchange->has_trailers = knob_number(connection, "x-backend-trailers", 0) != 0;
    long long input, cached, output, reasoning = 0;
    const char *usage = knob(connection, "x-backend-usage", "10,4,8");
    if (sscanf(usage, "%lld,%lld,%lld,%lld", &input, &cached, &output, &reasoning) >= 3) {
        question->input_tokens = input;
        question->cached_tokens = cached;
        question->output_tokens = output;
        question->reasoning_tokens = reasoning;
    }
    exchange->cut_bytes = knob_number(connection, "x-backend-cut", WRITE_BYTES);
    exchange->delay_ms = knob_number(connection, "x-backend-delay-ms", 0);
    exchange->reset_after = knob_number(connection, "x-backend-reset-after", -1);
    exchange->format = knob(connection, "x-backend-format", "json");
    exchange->hold = strdup(knob(connection, "x-backend-hold", ""));
}

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value) {
    (void)kind;
    yyjson_mut_doc *doc = context;
    yyjson_mut_val *key = yyjson_mut_strcpy(doc, name);
    yyjson_mut_val *text = yyjson_mut_strcpy(doc, value != NULL ? value : "");
    return yyjson_mut_obj_add(yyjson_mut_doc_get_root(doc), key, text) ? MHD_YES : MHD_NO;
}

static struct exchange *exchange_new(struct MHD_Connection *connection, const char *path) {
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) return NULL;
    read_knobs(connection, exchange);
    struct question *question = &exchange->question;
    question->backend_name = backend_name;
    question->path = path;
    question->endpoint = reply_endpoint(path);
    question->model = strdup("");
    question->headers = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(question->headers, yyjson_mut_obj(question->headers));
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add_header, question->headers);
    return exchange;
}

static void exchange_free(struct exchange *exchange) {
    if (exchange == NULL) return;
    question_done(&exchange->question);
    free(exchange->body);
    free(exchange->hold);
    free(exchange->piece);
    free(exchange);
}

static void take_body(struct exchange *exchange, const char *data, size_t len) {
    exchange->question.body_bytes += len;
    if (exchange->is_too_large || exchange->body_len + len > BODY_LIMIT_BYTES) {
        exchange->is_too_large = true;
        return;
    }
    if (exchange->body_len + len > exchange->body_room) {
        exchange->body_room = (exchange->body_len + len) * 2;
        exchange->body = realloc(exchange->body, exchange->body_room);
        if (exchange->body == NULL) fail("out of memory");
    }
    memcpy(exchange->body + exchange->body_len, data, len);
    exchange->body_len += len;
}

// The body as a string.
static const char *end_body(struct exchange *exchange) {
    take_body(exchange, "", 1);
    exchange->question.body_bytes--;
    return exchange->body != NULL ? exchange->body : "";
}

// Called by libmicrohttpd for the next bytes of the body, one call a write.
static ssize_t read_reply(void *context, uint64_t position, char *out, size_t room) {
    (void)position;
    struct exchange *exchange = context;
    if (exchange->piece_offset == exchange->piece_len) {
        if (exchange->piece_index == exchange->piece_count) return MHD_CONTENT_READER_END_OF_STREAM;
        if (exchange->piece_index == 1 && *exchange->hold != '\0') hold_wait(exchange->hold);
        free(exchange->piece);
        exchange->piece = reply_piece(&exchange->question, exchange->piece_index++,
                                      &exchange->piece_len);
        exchange->piece_offset = 0;
    }
    if (exchange->sent_bytes > 0 && exchange->delay_ms > 0) sleep_ms(exchange->delay_ms);

    size_t len = exchange->piece_len - exchange->piece_offset;
    if (len > room) len = room;
    if (len > (size_t)exchange->cut_bytes) len = (size_t)exchange->cut_bytes;
    if (exchange->reset_after >= 0) {
        uint64_t left = (uint64_t)exchange->reset_after - exchange->sent_bytes;
        if (left == 0) return MHD_CONTENT_READER_END_WITH_ERROR;
        if (len > left) len = (size_t)left;
    }
    memcpy(out, exchange->piece + exchange->piece_offset, len);
    exchange->piece_offset += len;
    exchange->sent_bytes += len;
    return (ssize_t)len;
}

// How a format is compressed, and what the header says.
static const struct encoding {
    const char *format, *name;
    int window_bits;
    size_t spaces;
} encodings[] = {
    {"gzip", "gzip", 15 + 16, 0},
    {"deflate", "deflate", 15, 0},
    {"raw", "deflate", -15, 0},
    {"bomb", "gzip", 15 + 16, (size_t)64 << 20},
};

static const struct encoding *encoding_of(const struct exchange *exchange) {
    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++)
        if (strcmp(exchange->format, encodings[i].format) == 0) return &encodings[i];
    return NULL;
}

static void compress_piece(z_stream *stream, const char *piece, size_t len, int flush, char **out,
                           size_t *room) {
    *room += deflateBound(stream, len) + 64;
    *out = realloc(*out, *room);
    if (*out == NULL) fail("out of memory");
    stream->next_in = (unsigned char *)(uintptr_t)piece;
    stream->avail_in = (unsigned)len;
    stream->next_out = (unsigned char *)*out + stream->total_out;
    stream->avail_out = (unsigned)(*room - stream->total_out);
    deflate(stream, flush);
}

// Replaces the reply by one piece that holds all of it, compressed.
static void compress_reply(struct exchange *exchange, const struct encoding *encoding) {
    struct question *question = &exchange->question;
    z_stream stream = {0};
    if (deflateInit2(&stream, 6, Z_DEFLATED, encoding->window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        fail("zlib refused");
    size_t room = 0;
    char *out = NULL;
    for (int64_t i = 0; i < exchange->piece_count; i++) {
        size_t len;
        char *piece = reply_piece(question, i, &len);
        compress_piece(&stream, piece, len, Z_SYNC_FLUSH, &out, &room);
        free(piece);
    }
    char *spaces = malloc(encoding->spaces + 1);
    if (spaces == NULL) fail("out of memory");
    memset(spaces, ' ', encoding->spaces);
    compress_piece(&stream, spaces, encoding->spaces, Z_FINISH, &out, &room);
    free(spaces);
    exchange->piece = out;
    exchange->piece_len = stream.total_out;
    exchange->piece_index = exchange->piece_count;
    deflateEnd(&stream);
}

static void fix_reply(struct exchange *exchange, const char *text) {
    exchange->piece_count = exchange->piece_index = 1;
    exchange->piece = strdup(text);
    exchange->piece_len = strlen(text);
}

static const char *prepare_reply(struct exchange *exchange) {
    exchange->piece_count = reply_piece_count(&exchange->question);
    bool is_stream = exchange->piece_count > 1;
    const char *type = is_stream ? "text/event-stream" : "application/json";
    const struct encoding *encoding = encoding_of(exchange);
    if (encoding != NULL) compress_reply(exchange, encoding);
    if (strcmp(exchange->format, "broken") == 0)
        fix_reply(exchange, "{\"usage\": {\"prompt_tokens\"");
    if (strcmp(exchange->format, "empty") == 0) fix_reply(exchange, "");
    if (strcmp(exchange->format, "text") == 0) {
        fix_reply(exchange, "This is plain text and no JSON.\n");
        type = "text/plain";
    }
    if (exchange->piece_count == 1 && exchange->piece == NULL)
        exchange->piece = reply_piece(&exchange->question, exchange->piece_index++,
                                      &exchange->piece_len);
    return type;
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct exchange *exchange) {
    if (exchange->body_len > 0)
        reply_read_body(&exchange->question, exchange->body, exchange->body_len);
    if (exchange->echoes) exchange->question.body = end_body(exchange);
    if (exchange->is_too_large) exchange->question.status = MHD_HTTP_CONTENT_TOO_LARGE;

    const char *type = prepare_reply(exchange);
    bool is_stream = exchange->piece_index < exchange->piece_count;
    if (!is_stream && *exchange->hold != '\0') hold_wait(exchange->hold);
    if (exchange->reset_after == 0) return MHD_NO;

    // A trailer needs chunks.
    uint64_t len = is_stream || exchange->has_trailers ? MHD_SIZE_UNKNOWN : exchange->piece_len;
    struct MHD_Response *response = MHD_create_response_from_callback(len, WRITE_BYTES, read_reply,
                                                                      exchange, NULL);
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, "content-type", type);
    MHD_add_response_header(response, "x-backend-name", backend_name);
    if (encoding_of(exchange) != NULL)
        MHD_add_response_header(response, "content-encoding", encoding_of(exchange)->name);
    if (exchange->has_trailers) MHD_add_response_footer(response, "x-backend-trailer", "the end");
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)exchange->question.status,
                                                response);
    MHD_destroy_response(response);
    return result;
}

static const char *after_prefix(const char *path, const char *prefix) {
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 ? path + len : NULL;
}

// Requests to the backend itself: gates.
static bool answer_control(struct MHD_Connection *connection, const char *path,
                           enum MHD_Result *ret_result) {
    const char *released = after_prefix(path, "/backend/release/");
    const char *waiting = after_prefix(path, "/backend/waiting/");
    if (released == NULL && waiting == NULL) return false;
    if (released != NULL) hold_release(released);
    char text[32];
    snprintf(text, sizeof text, "%d\n", hold_waiting(released != NULL ? released : waiting));
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text,
                                                                    MHD_RESPMEM_MUST_COPY);
    *ret_result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return true;
}

// Called once with the headers, then for each part of the body, then once with no data.
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *data_len, void **request) {
    (void)context, (void)method, (void)version;
    struct exchange *exchange = *request;
    if (exchange == NULL) {
        *request = exchange_new(connection, path);
        return *request != NULL ? MHD_YES : MHD_NO;
    }
    if (*data_len > 0) {
        take_body(exchange, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    enum MHD_Result result;
    if (answer_control(connection, path, &result)) return result;
    return answer(connection, exchange);
}

static void completed(void *context, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode why) {
    (void)context, (void)connection, (void)why;
    exchange_free(*request);
    *request = NULL;
}

static struct sockaddr_in parse_address(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    unsigned port;
    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || port > 65535 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1)
        fail("--listen wants an IPv4 address and a port, like 127.0.0.1:0");
    address.sin_port = htons((uint16_t)port);
    return address;
}

int main(int argc, char **argv) {
    struct sockaddr_in address = parse_address("127.0.0.1:0");
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--name") == 0) {
            backend_name = value;
        } else if (strcmp(argv[i], "--listen") == 0) {
            address = parse_address(value);
        } else {
            fail("usage: backend [--name NAME] [--listen ADDRESS:PORT]");
        }
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL,
        NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, completed,
        NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTION_LIMIT, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)(256 << 10), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(256 << 10),
        MHD_OPTION_END);
    if (daemon == NULL) fail("cannot listen: is the address taken?");
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    printf("listening address=%s:%u\n", host,
           MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    for (;;) pause();
}
