// SPDX-License-Identifier: Apache-2.0
// The grammar as a straight line: a key, a colon, a value, a comma. Wherever it is left, by an
// error or by the end of the piece, the state is that between two tokens, from where scan.c finds
// out.
#include "extproc/process/skip.h"

#include "extproc/process/pass.h"

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
