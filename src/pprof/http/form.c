// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/form.h"

#include <stdbool.h>

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static enum status decode(struct bytes escaped, bool is_plus_space, struct buffer *out) {
    for (size_t i = 0; i < escaped.len; i++) {
        uint8_t c = escaped.data[i];
        if (c == '+' && is_plus_space) c = ' ';
        if (c == '%') {
            if (escaped.len - i < 3) return STATUS_MALFORMED;
            int high = hex_value(escaped.data[i + 1]);
            int low = hex_value(escaped.data[i + 2]);
            if (high < 0 || low < 0) return STATUS_MALFORMED;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        enum status status = buffer_append_byte(out, c);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

enum status form_decode_path(struct bytes escaped, struct buffer *out) {
    return decode(escaped, false, out);
}

static struct bytes next_segment(struct bytes *rest, uint8_t separator) {
    if (rest->len == 0) return BYTES_EMPTY;
    const uint8_t *end = memchr(rest->data, separator, rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    struct bytes segment = bytes_of(rest->data, len);
    size_t used = end != NULL ? len + 1 : len;
    *rest = bytes_of(rest->data + used, rest->len - used);
    return segment;
}

enum status form_clean_path(struct bytes path, struct buffer *out) {
    size_t start = out->len;
    struct bytes rest = path;
    while (rest.len != 0) {
        struct bytes segment = next_segment(&rest, '/');
        if (segment.len == 0 || bytes_equal(segment, BYTES_LITERAL("."))) continue;
        if (bytes_equal(segment, BYTES_LITERAL(".."))) {
            while (out->len > start && out->data[out->len - 1] != '/') out->len--;
            if (out->len > start) out->len--;
            continue;
        }
        enum status status = buffer_append_byte(out, '/');
        if (status == STATUS_OK) status = buffer_append(out, segment);
        if (status != STATUS_OK) return status;
    }
    bool ends_in_slash = path.len == 0 || path.data[path.len - 1] == '/';
    if (out->len == start || ends_in_slash) return buffer_append_byte(out, '/');
    return STATUS_OK;
}

// Cuts `http://AUTHORITY` off a target; false: it does not begin so.
static bool cut_authority(struct bytes *target, struct bytes *ret_authority) {
    struct bytes scheme = BYTES_LITERAL("http://");
    if (target->len < scheme.len ||
        !bytes_equal_ignoring_case(bytes_of(target->data, scheme.len), scheme)) {
        return false;
    }
    struct bytes rest = bytes_of(target->data + scheme.len, target->len - scheme.len);
    const uint8_t *slash = rest.len != 0 ? memchr(rest.data, '/', rest.len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - rest.data) : rest.len;
    *ret_authority = bytes_of(rest.data, len);
    *target = slash != NULL ? bytes_of(slash, rest.len - len) : BYTES_LITERAL("/");
    return true;
}

void form_split_target(struct bytes target, struct bytes *ret_path, struct bytes *ret_query) {
    struct bytes authority;
    cut_authority(&target, &authority);
    *ret_query = target;
    *ret_path = next_segment(ret_query, '?');
}

void form_find_authority(struct bytes target, struct bytes *ret_authority) {
    struct bytes authority;
    if (!cut_authority(&target, &authority)) return;
    // User and password before an `@` are nobody's business here.
    const uint8_t *at = authority.len != 0 ? memrchr(authority.data, '@', authority.len) : NULL;
    size_t cut = at != NULL ? (size_t)(at - authority.data) + 1 : 0;
    *ret_authority = bytes_of(authority.data + cut, authority.len - cut);
}

// Appends the decoded text, or nothing at all.
static enum status decode_whole(struct bytes escaped, struct buffer *out) {
    size_t before = out->len;
    enum status status = decode(escaped, true, out);
    if (status != STATUS_OK) out->len = before;
    return status;
}

enum status form_find(struct bytes pairs, struct bytes key, struct buffer *out) {
    struct bytes rest = pairs;
    while (rest.len != 0) {
        struct bytes value = next_segment(&rest, '&');
        if (value.len == 0 || memchr(value.data, ';', value.len) != NULL) continue;
        struct bytes name = next_segment(&value, '=');
        size_t before = out->len;
        if (decode_whole(name, out) != STATUS_OK) continue;
        size_t len = out->len - before;
        out->len = before;
        if (len != key.len) continue;
        if (len != 0 && memcmp(out->data + before, key.data, len) != 0) continue;
        if (decode_whole(value, out) == STATUS_OK) return STATUS_OK;
    }
    return STATUS_NOT_FOUND;
}

// `may_group`: an underscore may stand between two digits, and in front if `is_prefixed`.
static enum status read_digits(struct bytes digits, uint64_t base, bool may_group, bool is_prefixed,
                               uint64_t *ret_number) {
    uint64_t number = 0;
    bool is_over = false;
    bool may_separate = is_prefixed;
    bool ends_in_digit = false;
    for (size_t i = 0; i < digits.len; i++) {
        ends_in_digit = digits.data[i] != '_';
        if (!ends_in_digit) {
            if (!may_group || !may_separate) return STATUS_MALFORMED;
            may_separate = false;
            continue;
        }
        int digit = hex_value(digits.data[i]);
        if (digit < 0 || (uint64_t)digit >= base) return STATUS_MALFORMED;
        if (__builtin_mul_overflow(number, base, &number)) is_over = true;
        if (__builtin_add_overflow(number, (uint64_t)digit, &number)) is_over = true;
        may_separate = true;
    }
    if (!ends_in_digit) return STATUS_MALFORMED;
    if (is_over) return STATUS_OUT_OF_RANGE;
    *ret_number = number;
    return STATUS_OK;
}

enum status form_read_int(struct bytes text, int64_t *ret_number) {
    bool is_negative = text.len != 0 && text.data[0] == '-';
    if (is_negative || (text.len != 0 && text.data[0] == '+')) {
        text = bytes_of(text.data + 1, text.len - 1);
    }
    uint64_t number;
    enum status status = read_digits(text, 10, false, false, &number);
    if (status != STATUS_OK) return status;
    if (number > (uint64_t)INT64_MAX + is_negative) return STATUS_OUT_OF_RANGE;
    *ret_number = (int64_t)(is_negative ? 0 - number : number);
    return STATUS_OK;
}

enum status form_read_address(struct bytes text, uint64_t *ret_number) {
    static const struct {
        char letter;
        uint64_t base;
    } prefixes[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    if (text.len < 2 || text.data[0] != '0') return read_digits(text, 10, true, false, ret_number);
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        if ((text.data[1] | 0x20) != prefixes[i].letter) continue;
        struct bytes digits = bytes_of(text.data + 2, text.len - 2);
        return read_digits(digits, prefixes[i].base, true, true, ret_number);
    }
    return read_digits(bytes_of(text.data + 1, text.len - 1), 8, true, true, ret_number);
}
