// SPDX-License-Identifier: Apache-2.0
// What reads a request's target, and what must hold for any bytes: a clean path stays clean and
// never leaves the root, decoding does not grow, the value of a key is found again in itself.
#include <stdlib.h>

#include "pprof/http/form.h"
#include "pprof/http/strict.h"

static void check(bool is_true) {
    if (!is_true) abort();
}

static void check_path(struct bytes path) {
    struct buffer clean = {0};
    struct buffer again = {0};
    struct buffer decoded = {0};
    check(form_clean_path(path, &clean) == STATUS_OK);
    check(clean.len != 0 && clean.data[0] == '/' && clean.len <= path.len + 1);
    check(form_clean_path(buffer_bytes(&clean), &again) == STATUS_OK);
    check(bytes_equal(buffer_bytes(&clean), buffer_bytes(&again)));
    for (size_t i = 0; i + 1 < clean.len; i++)
        check(clean.data[i] != '/' || clean.data[i + 1] != '/');
    if (form_decode_path(path, &decoded) == STATUS_OK) check(decoded.len <= path.len);
    buffer_done(&clean);
    buffer_done(&again);
    buffer_done(&decoded);
}

static void check_pairs(struct bytes pairs) {
    static const char *const keys[] = {"seconds", "debug", "gc", "", "a"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct buffer value = {0};
        enum status status = form_find(pairs, bytes_of_text(keys[i]), &value);
        check(status == STATUS_OK || status == STATUS_NOT_FOUND);
        check(status == STATUS_OK ? value.len <= pairs.len : value.len == 0);
        buffer_done(&value);
    }
}

static void check_numbers(struct bytes text) {
    int64_t number = 12345;
    if (form_read_int(text, &number) != STATUS_OK) check(number == 12345);
    uint64_t address = 12345;
    if (form_read_address(text, &address) != STATUS_OK) check(address == 12345);
    struct strict_headers headers = {0};
    strict_add_header(&headers, text, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes input = bytes_of(data, size);
    struct bytes path, query;
    form_split_target(input, &path, &query);
    check_path(path);
    check_pairs(query);
    check_path(input);
    check_pairs(input);
    check_numbers(input);
    return 0;
}
