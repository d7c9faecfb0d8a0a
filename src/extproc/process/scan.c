// SPDX-License-Identifier: Apache-2.0
// The grammar as a straight line: a key, a colon, a value, a comma, as far as they are whole in the
// piece and plain. Wherever that line is left, by an error, an escape or the end of the piece, the
// state is that between two tokens, from where step.c goes on.
#include "extproc/process/scan.h"

#include <assert.h>

#include "base/attributes.h"
#include "extproc/process/pass.h"
#include "extproc/process/step.h"

void scan_init(struct scan *scan, uint8_t *room, size_t room_bytes) {
    memset(scan, 0, offsetof(struct scan, outer_kinds));  // never read before it is written
    scan->key_lengths = SCAN_ALL_KEYS;
    scan->room = room;
    scan->room_bytes = room_bytes;
    scan->skip_depth = NOT_SKIPPING;
    scan->expects = EXPECTS_VALUE;
}

void scan_add(struct scan *scan, struct bytes piece) {
    assert(scan->next == scan->end);
    if (piece.len == 0 || scan->fault.status != STATUS_OK) return;
    scan->piece_offset += (size_t)(scan->end - scan->piece);
    scan->piece = scan->next = piece.data;
    scan->end = piece.data + piece.len;
    scan->text_start = NULL;
}

void scan_skip(struct scan *scan) {
    scan->skip_depth = scan->expects == EXPECTS_COLON ? scan->depth : scan->depth - 1;
}

static inline bool is_wanted(const struct scan *scan, size_t key_bytes) {
    return (scan->key_lengths & SCAN_KEY_LENGTH(key_bytes)) != 0;
}

static void give_out_text(struct scan *scan, const uint8_t *start, const uint8_t *behind) {
    scan->text = bytes_of(start + 1, (size_t)(behind - start) - 2);
    scan->text_is_cut = false;
}

// NULL also for what is long: a text that has no room, a number that may not fit, or is not whole.
static inline const uint8_t *take_scalar(struct scan *scan, const uint8_t *at, const uint8_t *end,
                                         int *ret_token) {
    const uint8_t *behind;
    if (step_is_skipping(scan)) {
        behind = pass_scalar(at, end);
        if (behind != NULL) step_end_skipping(scan);
        return behind;
    }
    if (*at == '"') {
        behind = pass_plain_text(at, end);
        if (behind == NULL || (size_t)(behind - at) > scan->room_bytes + 2) return NULL;
        give_out_text(scan, at, behind);
        *ret_token = SCAN_STRING;
    } else if (*at <= '9') {
        behind = pass_whole_number(at, end, &scan->number);
        if (behind == NULL) return NULL;
        scan->is_whole = true;
        *ret_token = SCAN_NUMBER;
    } else {
        behind = pass_word(at, end);
        if (behind == NULL) return NULL;
        *ret_token = *at == 't' ? SCAN_TRUE : *at == 'f' ? SCAN_FALSE : SCAN_NULL;
    }
    return behind;
}

// A key, and whether it is passed over with its value. NULL also for one longer than the room.
static inline const uint8_t *take_key(struct scan *scan, const uint8_t *at, const uint8_t *end,
                                      int *ret_token) {
    if (step_is_skipping(scan)) return pass_text(at, end);
    const uint8_t *behind = pass_plain_text(at, end);
    if (behind == NULL) return NULL;
    size_t len = (size_t)(behind - at) - 2;
    if (!is_wanted(scan, len)) {
        scan->skip_depth = scan->depth;
        return behind;
    }
    if (len > scan->room_bytes) return NULL;
    give_out_text(scan, at, behind);
    *ret_token = SCAN_KEY;
    return behind;
}

static inline int open_container(struct scan *scan, bool is_object) {
    step_enter(scan, is_object);
    if (step_is_skipping(scan)) return NO_TOKEN;
    return is_object ? SCAN_OBJECT : SCAN_ARRAY;
}

static inline int close_container(struct scan *scan) {
    int token = step_is_in_object(scan) ? SCAN_OBJECT_END : SCAN_ARRAY_END;
    step_leave(scan);
    if (!step_is_skipping(scan)) return token;
    step_end_skipping(scan);
    return NO_TOKEN;
}

// From between two tokens to between two others: behind the next that is wanted, the end of the
// piece (SCAN_MORE), or as far as it goes (NO_TOKEN).
static int take_plain_tokens(struct scan *scan) {
    const uint8_t *at = scan->next, *const end = scan->end, *start, *behind;
    uint8_t expects = scan->expects;
    int token = NO_TOKEN;
    while ((start = at = pass_gap(at, end)) != end) {
        if (expects == EXPECTS_KEY || expects == EXPECTS_KEY_OR_END) {
            if (*at == '"') {
                behind = take_key(scan, at, end, &token);
                if (behind == NULL) break;
                expects = EXPECTS_COLON;
                at = behind;
                if (token != NO_TOKEN) break;
                at = pass_gap_to(':', at, end);
                if (at == end) break;
            } else if (*at != '}' || expects == EXPECTS_KEY) {
                break;
            }
        }
        if (expects == EXPECTS_COLON) {
            if (*at != ':') break;
            expects = EXPECTS_VALUE;
            start = at = pass_gap(at + 1, end);
            if (at == end) break;
        }
        if (expects == EXPECTS_VALUE || expects == EXPECTS_VALUE_OR_END) {
            if (*at == '{' || *at == '[') {
                if (scan->depth == SCAN_DEPTH_MOST) break;
                bool is_object = *at++ == '{';
                expects = is_object ? EXPECTS_KEY_OR_END : EXPECTS_VALUE_OR_END;
                token = open_container(scan, is_object);
                if (token != NO_TOKEN) break;
                continue;
            }
            if (expects == EXPECTS_VALUE || *at != ']') {
                behind = take_scalar(scan, at, end, &token);
                if (behind == NULL) break;
                expects = EXPECTS_COMMA_OR_END;
                at = behind;
                if (token != NO_TOKEN) break;
                at = pass_gap_to(',', at, end);
                if (at == end) break;
            }
        }
        if (expects == EXPECTS_NOTHING) break;
        start = at;
        if (*at == ',') {
            expects = step_is_in_object(scan) ? EXPECTS_KEY : EXPECTS_VALUE;
            at++;
            continue;
        }
        if (*at != (step_is_in_object(scan) ? '}' : ']')) break;
        at++;
        token = close_container(scan);
        expects = EXPECTS_COMMA_OR_END;
        if (token != NO_TOKEN || scan->depth == 0) break;
    }
    if (expects == EXPECTS_COMMA_OR_END && scan->depth == 0) expects = EXPECTS_NOTHING;
    if (token == NO_TOKEN && at == end) token = SCAN_MORE;
    scan->next = at;
    scan->expects = expects;
    scan->token_offset = step_offset_of(scan, start);
    return token;
}

enum scan_token scan_next(struct scan *scan) {
    for (;;) {
        int token = NO_TOKEN;
        if (LIKELY(scan->inside == INSIDE_NOTHING)) token = take_plain_tokens(scan);
        if (token == NO_TOKEN) {
            token = step_token(scan);
            if (step_is_skipping(scan) && token > SCAN_MORE) {
                step_end_skipping(scan);
                continue;
            }
            bool may_be_wanted = scan->text_is_cut ? scan->key_lengths == SCAN_ALL_KEYS
                                                   : is_wanted(scan, scan->text.len);
            if (token == SCAN_KEY && !may_be_wanted) {
                scan_skip(scan);
                continue;
            }
        }
        return (enum scan_token)token;
    }
}

struct bytes scan_cut_word(const struct scan *scan) {
    return scan->inside == INSIDE_WORD ? bytes_of(scan->word, scan->part) : BYTES_EMPTY;
}

bool scan_is_whole(const struct scan *scan) {
    return scan->inside == INSIDE_NOTHING && scan->expects == EXPECTS_NOTHING;
}

bool scan_end(struct scan *scan) {
    if (scan->fault.status != STATUS_OK) return false;
    assert(scan->next == scan->end);
    return step_end(scan);
}
