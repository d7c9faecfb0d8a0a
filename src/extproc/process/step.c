// SPDX-License-Identifier: Apache-2.0
// A state machine that can stop behind any byte: `expects` is what the grammar allows next,
// `inside` and `part` say where in a token the last piece ended.
#include "extproc/process/step.h"

#include <assert.h>

#include "extproc/process/block.h"
#include "extproc/process/pass.h"

// Parts of a string.
enum { PART_PLAIN, PART_CHARACTER, PART_ESCAPE, PART_UNIT, PART_SECOND };

static int fail_at(struct scan *scan, const uint8_t *at, const char *what) {
    scan->fault = (struct fault){STATUS_MALFORMED, step_offset_of(scan, at), what};
    scan->next = scan->end;
    scan->inside = INSIDE_FAULT;
    return SCAN_FAULT;
}

/* structure */

static int fail_expecting(struct scan *scan) {
    static const char *const words[] = {
        [EXPECTS_VALUE] = "a value is expected",
        [EXPECTS_VALUE_OR_END] = "a value or ']' is expected",
        [EXPECTS_KEY] = "a key in quotes is expected",
        [EXPECTS_KEY_OR_END] = "a key in quotes or '}' is expected",
        [EXPECTS_COLON] = "':' is expected",
        [EXPECTS_COMMA_OR_END] = "',' or the end of the object or array is expected",
        [EXPECTS_NOTHING] = "nothing may follow",
    };
    return fail_at(scan, scan->next - 1, words[scan->expects]);
}

static bool expects_value(const struct scan *scan) {
    return scan->expects == EXPECTS_VALUE || scan->expects == EXPECTS_VALUE_OR_END;
}

// A value is complete.
static int finish(struct scan *scan, int token) {
    scan->inside = INSIDE_NOTHING;
    scan->expects = scan->depth == 0 ? EXPECTS_NOTHING : EXPECTS_COMMA_OR_END;
    return token;
}

static int open_container(struct scan *scan, bool is_object) {
    if (!expects_value(scan)) return fail_expecting(scan);
    if (scan->depth == SCAN_DEPTH_MOST) {
        return fail_at(scan, scan->next - 1, "objects and arrays are nested too deeply");
    }
    step_enter(scan, is_object);
    scan->expects = is_object ? EXPECTS_KEY_OR_END : EXPECTS_VALUE_OR_END;
    return is_object ? SCAN_OBJECT : SCAN_ARRAY;
}

static int close_container(struct scan *scan, bool is_object) {
    int empty = is_object ? EXPECTS_KEY_OR_END : EXPECTS_VALUE_OR_END;
    bool is_allowed = scan->expects == EXPECTS_COMMA_OR_END || scan->expects == empty;
    if (!is_allowed || step_is_in_object(scan) != is_object) return fail_expecting(scan);
    step_leave(scan);
    return finish(scan, is_object ? SCAN_OBJECT_END : SCAN_ARRAY_END);
}

/* strings */

static void keep(struct scan *scan, const uint8_t *from, size_t len) {
    if (step_is_skipping(scan) || len == 0) return;
    if (len > scan->room_bytes - scan->room_len) {
        scan->text_is_cut = true;
        return;
    }
    memcpy(scan->room + scan->room_len, from, len);
    scan->room_len += len;
}

// The text cannot be borrowed as a whole: what there is of it in this piece goes to the room.
static void spill(struct scan *scan, const uint8_t *until) {
    if (scan->text_start != NULL) keep(scan, scan->text_start, (size_t)(until - scan->text_start));
    scan->text_start = NULL;
}

// The text is complete.
static int give_out(struct scan *scan, struct bytes text) {
    if (text.len > scan->room_bytes) scan->text_is_cut = true;
    scan->text = scan->text_is_cut ? BYTES_EMPTY : text;
    if (!scan->is_key) return finish(scan, SCAN_STRING);
    scan->inside = INSIDE_NOTHING;
    scan->expects = EXPECTS_COLON;
    return SCAN_KEY;
}

static int finish_string(struct scan *scan) {
    const uint8_t *quote = scan->next - 1;
    if (scan->room_len != 0 || scan->text_is_cut) spill(scan, quote);
    if (scan->text_start == NULL) return give_out(scan, bytes_of(scan->room, scan->room_len));
    return give_out(scan, bytes_of(scan->text_start, (size_t)(quote - scan->text_start)));
}

static int take_character(struct scan *scan) {
    while (scan->utf8.left != 0) {
        if (scan->next == scan->end) return SCAN_MORE;
        if (!utf8_go_on(&scan->utf8, *scan->next)) {
            return fail_at(scan, scan->next, "a string has invalid UTF-8");
        }
        scan->next++;
    }
    scan->part = PART_PLAIN;
    return NO_TOKEN;
}

static void keep_code_point(struct scan *scan, uint32_t point) {
    uint8_t utf8[4];
    size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1; point >>= 6) utf8[i] = (uint8_t)(0x80 | (point & 0x3f));
    utf8[0] = (uint8_t)(marks[len] | point);
    keep(scan, utf8, len);
}

// Behind \u and its digits. Characters past U+FFFF are written as two of them.
static bool finish_unit(struct scan *scan) {
    uint16_t unit = scan->unit;
    bool is_high = unit >= 0xd800 && unit < 0xdc00, is_low = unit >= 0xdc00 && unit < 0xe000;
    if (is_low != (scan->high_unit != 0)) return false;
    if (is_high) {
        scan->high_unit = unit;
        return true;
    }
    uint32_t point = unit;
    if (is_low) point = 0x10000 + ((uint32_t)(scan->high_unit - 0xd800) << 10) + (unit - 0xdc00u);
    scan->high_unit = 0;
    keep_code_point(scan, point);
    return true;
}

static int take_unit(struct scan *scan) {
    while (scan->unit_left != 0) {
        if (scan->next == scan->end) return SCAN_MORE;
        int digit = escape_digit(*scan->next);
        if (digit < 0) return fail_at(scan, scan->next, "\\u needs four hexadecimal digits");
        scan->unit = (uint16_t)(scan->unit << 4 | digit);
        scan->unit_left--;
        scan->next++;
    }
    if (!finish_unit(scan)) return fail_at(scan, scan->next - 1, "half of a surrogate pair");
    scan->part = scan->high_unit != 0 ? PART_SECOND : PART_PLAIN;
    return NO_TOKEN;
}

// Between the halves of a surrogate pair.
static int take_second(struct scan *scan) {
    if (scan->next == scan->end) return SCAN_MORE;
    if (*scan->next++ != '\\') return fail_at(scan, scan->next - 1, "half of a surrogate pair");
    scan->part = PART_ESCAPE;
    return NO_TOKEN;
}

// Behind a backslash.
static int take_escape(struct scan *scan) {
    if (scan->next == scan->end) return SCAN_MORE;
    uint8_t c = *scan->next++;
    if (c == 'u') {
        scan->part = PART_UNIT;
        scan->unit_left = 4;
        scan->unit = 0;
        return NO_TOKEN;
    }
    uint8_t meaning = escape_meaning(c);
    if (meaning == '\0' || scan->high_unit != 0) {
        return fail_at(scan, scan->next - 1, "an unknown escape in a string");
    }
    keep(scan, &meaning, 1);
    scan->part = PART_PLAIN;
    return NO_TOKEN;
}

static int take_plain(struct scan *scan) {
    bool is_skipping = step_is_skipping(scan);
    for (;;) {
        if (is_skipping) scan->next = block_pass(scan->next, scan->end);
        scan->next = find_in_string(scan->next, scan->end);
        if (scan->next == scan->end) return SCAN_MORE;
        if (*scan->next == '\\' && !is_skipping) break;  // it cannot stay as it is
        const uint8_t *behind = pass_special(scan->next, scan->end);
        if (behind == NULL) break;
        scan->next = behind;
    }
    uint8_t c = *scan->next++;
    if (c == '"') return finish_string(scan);
    if (c == '\\') {
        spill(scan, scan->next - 1);
        scan->part = PART_ESCAPE;
        return NO_TOKEN;
    }
    if (c < ' ') return fail_at(scan, scan->next - 1, "a control character in a string");
    if (!utf8_begin(&scan->utf8, c)) {
        return fail_at(scan, scan->next - 1, "a string has invalid UTF-8");
    }
    scan->part = PART_CHARACTER;
    return NO_TOKEN;
}

static int take_string(struct scan *scan) {
    int token = NO_TOKEN;
    while (token == NO_TOKEN) {
        bool is_literal = scan->part == PART_PLAIN || scan->part == PART_CHARACTER;
        if (is_literal && scan->text_start == NULL) scan->text_start = scan->next;
        switch (scan->part) {
        case PART_PLAIN: token = take_plain(scan); break;
        case PART_CHARACTER: token = take_character(scan); break;
        case PART_ESCAPE: token = take_escape(scan); break;
        case PART_UNIT: token = take_unit(scan); break;
        default: token = take_second(scan); break;
        }
    }
    if (token == SCAN_MORE) spill(scan, scan->end);
    return token;
}

static int begin_string(struct scan *scan) {
    scan->is_key = scan->expects == EXPECTS_KEY || scan->expects == EXPECTS_KEY_OR_END;
    if (!scan->is_key && !expects_value(scan)) return fail_expecting(scan);
    scan->text_is_cut = false;
    scan->inside = INSIDE_STRING;
    scan->part = PART_PLAIN;
    scan->text_start = scan->next;
    scan->room_len = 0;
    return take_string(scan);
}

/* numbers */

enum { MINUS, ZERO, DIGITS, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, BAD };

enum { CLASS_ZERO, CLASS_DIGIT, CLASS_SIGN, CLASS_POINT, CLASS_EXPONENT, CLASS_OTHER };

static int class_of(uint8_t c) {
    if (c >= '1' && c <= '9') return CLASS_DIGIT;
    if (c == '0') return CLASS_ZERO;
    if (c == '.') return CLASS_POINT;
    if (c == 'e' || c == 'E') return CLASS_EXPONENT;
    return c == '-' || c == '+' ? CLASS_SIGN : CLASS_OTHER;
}

static bool may_end_number(uint8_t part) {
    return part == ZERO || part == DIGITS || part == FRACTION || part == EXPONENT_DIGITS;
}

static void add_digit(struct scan *scan, uint8_t digit) {
    uint64_t tens;
    bool fits = !__builtin_mul_overflow(scan->number, 10, &tens) &&
                !__builtin_add_overflow(tens, digit, &scan->number);
    if (!fits) scan->is_whole = false;
}

static int take_number(struct scan *scan) {
    static const uint8_t next[][CLASS_OTHER] = {
        //                   0                1 to 9           sign           .      e
        [MINUS] = {ZERO, DIGITS, BAD, BAD, BAD},
        [ZERO] = {BAD, BAD, BAD, POINT, EXPONENT},
        [DIGITS] = {DIGITS, DIGITS, BAD, POINT, EXPONENT},
        [POINT] = {FRACTION, FRACTION, BAD, BAD, BAD},
        [FRACTION] = {FRACTION, FRACTION, BAD, BAD, EXPONENT},
        [EXPONENT] = {EXPONENT_DIGITS, EXPONENT_DIGITS, EXPONENT_SIGN, BAD, BAD},
        [EXPONENT_SIGN] = {EXPONENT_DIGITS, EXPONENT_DIGITS, BAD, BAD, BAD},
        [EXPONENT_DIGITS] = {EXPONENT_DIGITS, EXPONENT_DIGITS, BAD, BAD, BAD},
    };
    for (; scan->next != scan->end; scan->next++) {
        if (scan->part == FRACTION) scan->next = find_digits_end(scan->next, scan->end);
        if (scan->next == scan->end) break;
        int class = class_of(*scan->next);
        if (class == CLASS_OTHER) {
            if (may_end_number(scan->part)) return finish(scan, SCAN_NUMBER);
            return fail_at(scan, scan->next, "a number ends too early");
        }
        scan->part = next[scan->part][class];
        if (scan->part == BAD) return fail_at(scan, scan->next, "a malformed number");
        if (scan->part == DIGITS) add_digit(scan, (uint8_t)(*scan->next - '0'));
        if (scan->part > DIGITS) scan->is_whole = false;
    }
    return SCAN_MORE;
}

static int begin_number(struct scan *scan, uint8_t c) {
    if (!expects_value(scan)) return fail_expecting(scan);
    scan->inside = INSIDE_NUMBER;
    scan->part = c == '-' ? MINUS : c == '0' ? ZERO : DIGITS;
    scan->is_whole = c != '-';
    scan->number = c == '-' ? 0 : (uint64_t)(c - '0');
    return take_number(scan);
}

/* true, false, null */

static int take_word(struct scan *scan) {
    while (scan->word[scan->part] != '\0') {
        if (scan->next == scan->end) return SCAN_MORE;
        if (*scan->next != (uint8_t)scan->word[scan->part]) {
            return fail_at(scan, scan->next, "an unknown word; true, false and null are known");
        }
        scan->part++;
        scan->next++;
    }
    uint8_t first = (uint8_t)scan->word[0];
    return finish(scan, first == 't' ? SCAN_TRUE : first == 'f' ? SCAN_FALSE : SCAN_NULL);
}

static int begin_word(struct scan *scan, const char *word) {
    if (!expects_value(scan)) return fail_expecting(scan);
    scan->inside = INSIDE_WORD;
    scan->word = word;
    scan->part = 1;
    return take_word(scan);
}

/* tokens */

static int begin_token(struct scan *scan) {
    uint8_t c;
    // Commas and colons are no tokens, and frequent: they need not take the jump over the others.
    for (;;) {
        if (scan->next == scan->end) return SCAN_MORE;
        c = *scan->next++;
        if (find_is_gap(c)) continue;
        if (c == ',' && scan->expects == EXPECTS_COMMA_OR_END) {
            scan->expects = step_is_in_object(scan) ? EXPECTS_KEY : EXPECTS_VALUE;
        } else if (c == ':' && scan->expects == EXPECTS_COLON) {
            scan->expects = EXPECTS_VALUE;
        } else {
            break;
        }
    }
    scan->token_offset = step_offset_of(scan, scan->next - 1);
    if (c == '"') return begin_string(scan);
    switch (c) {
    case '{': return open_container(scan, true);
    case '}': return close_container(scan, true);
    case '[': return open_container(scan, false);
    case ']': return close_container(scan, false);
    case 't': return begin_word(scan, "true");
    case 'f': return begin_word(scan, "false");
    case 'n': return begin_word(scan, "null");
    case '-': return begin_number(scan, c);
    default: break;
    }
    if (c >= '0' && c <= '9') return begin_number(scan, c);
    return fail_expecting(scan);
}

// The rest of a token that was cut by the end of the piece.
static int go_on(struct scan *scan) {
    switch (scan->inside) {
    case INSIDE_STRING: return take_string(scan);
    case INSIDE_NUMBER: return take_number(scan);
    case INSIDE_WORD: return take_word(scan);
    default: return SCAN_FAULT;
    }
}

int step_token(struct scan *scan) {
    return scan->inside == INSIDE_NOTHING ? begin_token(scan) : go_on(scan);
}

bool step_end(struct scan *scan) {
    bool is_number = scan->inside == INSIDE_NUMBER && may_end_number(scan->part);
    if (is_number && scan->depth == 0) finish(scan, SCAN_NUMBER);
    if (scan->inside == INSIDE_NOTHING && scan->expects == EXPECTS_NOTHING) return true;
    fail_at(scan, scan->end, "the text ends too early");
    return false;
}
