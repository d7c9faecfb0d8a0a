// SPDX-License-Identifier: Apache-2.0
// What decides who gets in, and what must hold for any bytes: a list of tokens has no other tokens
// than its lines; nobody gets in by a header; nothing that may be a token is written down.
#include <stdlib.h>

#include "pprof/http/access.h"
#include "pprof/http/form.h"
#include "pprof/http/record.h"

static void check(bool is_true) {
    if (!is_true) abort();
}

// Both halves of the input: a file, and what somebody sends.
static void check_tokens(struct bytes text, struct bytes secret) {
    char name[TOKEN_NAME_BYTES] = "untouched";
    struct fault fault = {0};
    enum status status = token_find(text, secret, name, &fault);
    check((status == STATUS_OK) != (strcmp(name, "untouched") == 0));
    if (status == STATUS_MALFORMED || status == STATUS_TRUNCATED) {
        check(fault.what != NULL && fault.offset <= text.len + 1);
    }
    if (status != STATUS_OK) return;
    check(secret.len >= TOKEN_BYTES_LEAST && memmem(text.data, text.len, secret.data, secret.len));
    check(strlen(name) > 0 && strlen(name) < TOKEN_NAME_BYTES);
}

static void check_mask(struct bytes text) {
    struct buffer masked = {0};
    check(record_write_masked(text, 512, &masked) == STATUS_OK);
    check(masked.len < 512 + TOKEN_BYTES_LEAST);
    size_t run = 0;
    for (size_t i = 0; i < masked.len; i++) {
        run = token_may_hold(masked.data[i]) ? run + 1 : 0;
        check(run < TOKEN_BYTES_LEAST);
    }
    buffer_done(&masked);
}

// No header makes a peer loopback, and whatever Authorization holds is borrowed from it.
static void check_headers(struct bytes value) {
    static const char *const names[] = {"Host", "Authorization", "Sec-Fetch-Site", "Sec-Fetch-Mode",
                                        "Sec-Fetch-Dest"};
    struct visitor visitor = {0};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        access_add_header(&visitor, bytes_of_text(names[i]), value);
    }
    check(!visitor.is_loopback && !visitor.wants_index && visitor.has_secret);
    check(visitor.secret.len < value.len || visitor.secret.len == 0);
    form_find_authority(value, &visitor.host);
    check(visitor.host.len <= value.len);
    struct pass pass = access_check(&visitor);
    check(!pass.is_known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t half = size != 0 ? data[0] % size : 0;
    check_tokens(bytes_of(data, half), bytes_of(data + half, size - half));
    check_mask(bytes_of(data, size));
    check_headers(bytes_of(data, size));
    return 0;
}
