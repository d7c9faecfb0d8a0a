// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/strict.h"

static bool is_alphanumeric(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool consists_of(struct bytes text, const char *others) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (!is_alphanumeric(c) && (c == 0 || strchr(others, c) == NULL)) return false;
    }
    return true;
}

bool strict_is_token(struct bytes text) {
    return text.len != 0 && consists_of(text, "!#$%&'*+-.^_`|~");
}

void strict_add_header(struct strict_headers *headers, struct bytes name, struct bytes value) {
    if (!strict_is_token(name)) headers->is_bad = true;
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("host"))) {
        // RFC 3986 section 3.2.2: a registered name, or an address in brackets, and a port.
        if (headers->has_host || !consists_of(value, "!$&'()*+,;=-._~%:[]")) {
            headers->is_bad = true;
        }
        headers->has_host = true;
    }
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("content-length"))) {
        if (headers->has_length) headers->is_bad = true;
        headers->has_length = true;
    }
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("authorization"))) {
        if (headers->has_authorization) headers->is_bad = true;
        headers->has_authorization = true;
    }
}
