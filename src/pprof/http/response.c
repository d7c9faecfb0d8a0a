// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/response.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SMALL_BODY_BYTES = 2048,  // Go sends a longer one in chunks
    CHUNK_BYTES = 32 << 10,
};

struct body {
    struct buffer bytes;
    uint64_t *sent_bytes;
};

static ssize_t read_body(void *context, uint64_t position, char *room, size_t size) {
    const struct body *body = context;
    size_t left = body->bytes.len - (size_t)position;
    if (left == 0) return MHD_CONTENT_READER_END_OF_STREAM;
    size_t piece = left < size ? left : size;
    memcpy(room, body->bytes.data + position, piece);
    *body->sent_bytes = position + piece;
    return (ssize_t)piece;
}

static void free_body(void *context) {
    struct body *body = context;
    buffer_done(&body->bytes);
    free(body);
}

static struct MHD_Response *make_with_body(struct answer *answer, bool is_head, bool is_http_1_0,
                                           uint64_t *sent_bytes) {
    bool is_small = answer->body.len <= SMALL_BODY_BYTES;
    // Go tells the length of a small body only, and of a redirect's never. In HTTP/1.0 the library
    // would say that this one's is 0.
    if (is_head && !is_http_1_0 && (!is_small || answer->location.len != 0)) {
        return MHD_create_response_empty(MHD_RF_HEAD_ONLY_RESPONSE);
    }
    struct body *body = calloc(1, sizeof *body);
    if (body == NULL) return NULL;
    *body = (struct body){answer->body, sent_bytes};
    answer->body = (struct buffer){0};
    if (is_small && !is_head) *sent_bytes = body->bytes.len;
    struct MHD_Response *response = is_small
                                        ? MHD_create_response_from_buffer_with_free_callback_cls(
                                              body->bytes.len, body->bytes.data, free_body, body)
                                        : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
                                                                            CHUNK_BYTES, read_body,
                                                                            body, free_body);
    if (response == NULL) free_body(body);
    return response;
}

// Nothing but our own files, nothing inline, in nobody's frame.
static void add_page_headers(struct MHD_Response *response, const struct answer *answer) {
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; script-src 'self'; style-src 'self'; "
                            "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
                            "form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    if (answer->etag == NULL) return;
    // no-cache: keep it, and ask each time whether it is still the same.
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
    if (answer->status == 304) return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
}

static void add_headers(struct MHD_Response *response, const struct answer *answer) {
    if (answer->content_type != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    }
    if (!answer->is_plain) {
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    }
    if (answer->is_page) add_page_headers(response, answer);
    if (answer->is_pprof_error) MHD_add_response_header(response, "X-Go-Pprof", "1");
    if (answer->closes) MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (answer->file_name[0] != '\0') {
        char value[128];
        snprintf(value, sizeof value, "attachment; filename=\"%s\"", answer->file_name);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, value);
    }
    if (answer->location.len != 0) {
        const char *location = (const char *)answer->location.data;
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, location);
    }
    if (answer->asks_for_token) {
        // RFC 9110 section 11.6.1. Browsers take the first that they know.
        static const char *const ways[] = {"Basic realm=\"pprof\"", "Bearer realm=\"pprof\""};
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, ways[0]);
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, ways[1]);
    }
    if (answer->retry_after_seconds != 0) {
        char value[32];
        snprintf(value, sizeof value, "%" PRId64, answer->retry_after_seconds);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, value);
    }
}

struct MHD_Response *response_make(struct answer *answer, const char *method, const char *version,
                                   uint64_t *sent_bytes) {
    if (answer->location.len != 0 && buffer_append_byte(&answer->location, '\0') != STATUS_OK) {
        answer_failure(answer, STATUS_NO_MEMORY);
    }
    bool is_http_1_0 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    bool is_head = strcmp(method, "HEAD") == 0;
    struct MHD_Response *response = make_with_body(answer, is_head, is_http_1_0, sent_bytes);
    if (response == NULL) return NULL;
    add_headers(response, answer);
    if (is_http_1_0) {
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_SERVER, MHD_RO_END);
    }
    return response;
}
