// SPDX-License-Identifier: Apache-2.0
// symbol: function names for addresses. `go tool pprof` posts here for profiles in text form.
#include <inttypes.h>

#include "pprof/http/endpoint.h"
#include "pprof/http/form.h"
#include "pprof/symbol/symbol.h"

enum {
    WORD_BYTES_MOST = 4096,  // what Go's reader holds, separator included
    NAMES_BYTES_MOST = 8 << 20,
};

static enum status append_name(struct buffer *body, struct bytes word) {
    uint64_t address;
    if (form_read_address(word, &address) != STATUS_OK) return STATUS_OK;
    struct symbol_line lines[SYMBOL_LINES_MOST];
    if (symbol_resolve((uintptr_t)address, lines) == 0) return STATUS_OK;
    return buffer_append_format(body, "%#" PRIx64 " %s\n", address, lines[0].function);
}

static enum status append_names(struct buffer *body, struct bytes words) {
    // What clients look at is whether this is more than 0: are there symbols at all?
    enum status status = buffer_append_text(body, "num_symbols: 1\n");
    while (status == STATUS_OK && words.len != 0) {
        const uint8_t *plus = memchr(words.data, '+', words.len);
        size_t len = plus != NULL ? (size_t)(plus - words.data) : words.len;
        bool is_over = len >= WORD_BYTES_MOST;
        status = append_name(body, bytes_of(words.data, is_over ? WORD_BYTES_MOST : len));
        if (is_over && status == STATUS_OK) {
            return buffer_append_text(body, "reading request: bufio: buffer full\n");
        }
        size_t used = plus != NULL ? len + 1 : len;
        words = bytes_of(words.data + used, words.len - used);
    }
    return status;
}

void endpoint_answer_symbol(const struct request *request, struct answer *answer) {
    *answer = (struct answer){.status = 200, .content_type = CONTENT_TEXT, .body = ANSWER_BODY};
    answer->body.limit = NAMES_BYTES_MOST;
    bool is_post = strcmp(request->method, "POST") == 0;
    enum status status = reserve_prepare();
    if (status == STATUS_OK) {
        status = append_names(&answer->body, is_post ? request->body : request->query);
    }
    if (status == STATUS_TOO_LARGE) {
        answer_error(answer, 413, "the names of these addresses are over the limit of 8 MiB");
    } else if (status != STATUS_OK) {
        answer_failure(answer, status);
    }
}
