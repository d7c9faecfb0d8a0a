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
    // Not the whole: what is_object holds beyond the depth is never read.
    memset(scan, 0, offsetof(struct scan, is_object) + sizeof(scan->is_object[0]));
    scan->key_lengths = SCAN_ALL_KEYS;
    scan->room = room;
    scan->room_bytes = room_bytes;
    scan->skip_depth = NOT_SKIPPING;
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

static void give_out_number(struct scan *scan, const uint8_t *start, const uint8_t *behind) {
    scan->number = 0;
    while (start != behind && (uint8_t)(*start - '0') < 10 &&
           step_add_digit(&scan->number, (uint8_t)(*start - '0'))) {
        start++;
    }
    scan->is_whole = start == behind;
}

// The same as pass_scalar, and keeps what there is. NULL also for a text longer than the room.
static inline const uint8_t *take_scalar(struct scan *scan, const uint8_t *at, const uint8_t *end,
                                         int *ret_token) {
    const uint8_t *behind;
    if (*at == '"') {
        behind = pass_plain_text(at, end);
        if (behind == NULL || (size_t)(behind - at) > scan->room_bytes + 2) return NULL;
        give_out_text(scan, at, behind);
        *ret_token = SCAN_STRING;
    } else if (*at <= '9') {
        behind = pass_number(at, end);
        if (behind == NULL) return NULL;
        give_out_number(scan, at, behind);
        *ret_token = SCAN_NUMBER;
    } else {
        behind = pass_word(at, end);
        if (behind == NULL) return NULL;
        *ret_token = *at == 't' ? SCAN_TRUE : *at == 'f' ? SCAN_FALSE : SCAN_NULL;
    }
    return behind;
}

// From between two tokens to between two others: behind the next that is wanted, the end of the
// piece (SCAN_MORE), or as far as it goes (NO_TOKEN).
static int take_plain_tokens(struct scan *scan) {
    const uint8_t *at = scan->next, *const end = scan->end, *start = at, *behind;
    size_t depth = scan->depth, skip_depth = scan->skip_depth;
    uint8_t expects = scan->expects;
    bool is_in_object = scan->is_in_object;
    int token = NO_TOKEN;
    while ((start = at = pass_gap(at, end)) != end) {
        if (expects == EXPECTS_KEY || expects == EXPECTS_KEY_OR_END) {
            if (*at == '"') {
                bool is_skipping = skip_depth != NOT_SKIPPING;
                behind = is_skipping ? pass_text(at, end) : pass_plain_text(at, end);
                if (behind == NULL) break;
                if (!is_skipping) {
                    size_t len = (size_t)(behind - at) - 2;
                    if (!is_wanted(scan, len)) {
                        skip_depth = depth;
                    } else if (len <= scan->room_bytes) {
                        token = SCAN_KEY;
                    } else {
                        break;
                    }
                }
                expects = EXPECTS_COLON;
                at = behind;
                if (token == SCAN_KEY) {
                    give_out_text(scan, start, behind);
                    break;
                }
                at = pass_gap(at, end);
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
                if (depth == SCAN_DEPTH_MOST) break;
                is_in_object = *at == '{';
                step_set_object(scan, ++depth, is_in_object);
                expects = is_in_object ? EXPECTS_KEY_OR_END : EXPECTS_VALUE_OR_END;
                at++;
                if (skip_depth != NOT_SKIPPING) continue;
                token = is_in_object ? SCAN_OBJECT : SCAN_ARRAY;
                break;
            }
            if (*at != ']' || expects == EXPECTS_VALUE) {
                bool is_token = skip_depth == NOT_SKIPPING;
                behind = is_token ? take_scalar(scan, at, end, &token) : pass_scalar(at, end);
                if (behind == NULL) break;
                at = behind;
                if (is_token) {
                    expects = depth == 0 ? EXPECTS_NOTHING : EXPECTS_COMMA_OR_END;
                    break;
                }
                expects = EXPECTS_COMMA_OR_END;
                if (depth == skip_depth) skip_depth = NOT_SKIPPING;
                start = at = pass_gap(at, end);
                if (at == end) break;
            }
        }
        if (expects == EXPECTS_NOTHING) break;
        if (*at == ',') {
            expects = is_in_object ? EXPECTS_KEY : EXPECTS_VALUE;
            at++;
            continue;
        }
        if (*at != (is_in_object ? '}' : ']')) break;
        at++;
        token = is_in_object ? SCAN_OBJECT_END : SCAN_ARRAY_END;
        depth--;
        is_in_object = step_is_object(scan, depth);
        expects = depth == 0 ? EXPECTS_NOTHING : EXPECTS_COMMA_OR_END;
        if (skip_depth == NOT_SKIPPING) break;
        if (depth == skip_depth) skip_depth = NOT_SKIPPING;
        token = NO_TOKEN;
    }
    if (token == NO_TOKEN && at == end) token = SCAN_MORE;
    scan->next = at;
    scan->depth = depth;
    scan->skip_depth = skip_depth;
    scan->expects = expects;
    scan->is_in_object = is_in_object;
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
                // Back at the depth where it began, and not with a comma: it is over.
                if (scan->depth == scan->skip_depth) scan->skip_depth = NOT_SKIPPING;
                continue;
            }
            size_t key_bytes = scan->text_is_cut ? SIZE_MAX : scan->text.len;
            if (token == SCAN_KEY && !is_wanted(scan, key_bytes)) {
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
