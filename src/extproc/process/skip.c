// SPDX-License-Identifier: Apache-2.0
// The grammar as a straight line: a key, a colon, a value, a comma. Wherever it is left, by an
// error or by the end of the piece, the state is that between two tokens, from where scan.c finds
// out.
#include "extproc/process/skip.h"

#include "base/attributes.h"
#include "extproc/process/block.h"

// Each of these goes from the start of something to behind it. NULL: it is not plain, or not whole.

static inline const uint8_t *pass_gap(const uint8_t *at, const uint8_t *end) {
    while (at != end && find_is_gap(*at)) at++;
    return at;
}

static inline const uint8_t *pass_text(const uint8_t *at, const uint8_t *end) {
    const uint8_t *quote = find_short_end(++at, end);
    if (LIKELY(quote != NULL)) return quote + 1;
    at = find_in_string(block_pass(at, end), end);
    return at != end && *at == '"' ? at + 1 : NULL;
}

// An exponent is left to the long way.
static inline const uint8_t *pass_number(const uint8_t *at, const uint8_t *end) {
    if (*at == '-') at++;
    const uint8_t *first = at;
    at = find_digits_end(at, end);
    if (at == end || at == first || (*first == '0' && at - first != 1)) return NULL;
    if (*at == '.') {
        first = ++at;
        at = find_digits_end(at, end);
        if (at == end || at == first) return NULL;
    }
    bool goes_on = *at == 'e' || *at == 'E' || *at == '.' || *at == '+' || *at == '-';
    return goes_on ? NULL : at;
}

static inline const uint8_t *pass_word(const uint8_t *at, const uint8_t *end) {
    static const char words[][4] = {"true", "null", "alse"};
    size_t left = (size_t)(end - at);
    if (left >= 4 && memcmp(at, words[0], 4) == 0) return at + 4;
    if (left >= 4 && memcmp(at, words[1], 4) == 0) return at + 4;
    return left >= 5 && *at == 'f' && memcmp(at + 1, words[2], 4) == 0 ? at + 5 : NULL;
}

static inline const uint8_t *pass_scalar(const uint8_t *at, const uint8_t *end) {
    if (*at == '"') return pass_text(at, end);
    if (*at <= '9') return pass_number(at, end);
    return pass_word(at, end);
}

void skip_plain_tokens(struct scan *scan) {
    const uint8_t *at = scan->next, *end = scan->end, *behind;
    size_t depth = scan->depth;
    uint8_t expects = scan->expects;
    bool is_over = false;
    while ((at = pass_gap(at, end)) != end) {
        if (expects == EXPECTS_KEY || expects == EXPECTS_KEY_OR_END) {
            behind = *at == '"' ? pass_text(at, end) : NULL;
            if (behind == NULL) break;
            expects = EXPECTS_COLON;
            at = pass_gap(behind, end);
            if (at == end) break;
        }
        if (expects == EXPECTS_COLON) {
            if (*at != ':') break;
            expects = EXPECTS_VALUE;
            at = pass_gap(at + 1, end);
            if (at == end) break;
        }
        if (expects == EXPECTS_VALUE || expects == EXPECTS_VALUE_OR_END) {
            bool is_object = *at == '{';
            if (is_object || *at == '[') {
                if (depth == SCAN_DEPTH_MOST) break;
                skip_set_object(scan, ++depth, is_object);
                expects = is_object ? EXPECTS_KEY_OR_END : EXPECTS_VALUE_OR_END;
                at++;
                continue;
            }
            behind = pass_scalar(at, end);
            if (behind == NULL) break;
            expects = EXPECTS_COMMA_OR_END;
            at = behind;
            is_over = depth == scan->skip_depth;
            if (is_over) break;
            at = pass_gap(at, end);
            if (at == end) break;
        }
        bool is_in_object = skip_is_in_object(scan, depth);
        if (*at == ',') {
            expects = is_in_object ? EXPECTS_KEY : EXPECTS_VALUE;
            at++;
            continue;
        }
        if (*at != (is_in_object ? '}' : ']')) break;
        at++;
        is_over = --depth == scan->skip_depth;
        if (is_over) break;
    }
    if (depth == 0) expects = EXPECTS_NOTHING;
    scan->next = at;
    scan->depth = depth;
    scan->expects = expects;
    scan->is_skipping = !is_over;
}
