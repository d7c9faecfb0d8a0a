// SPDX-License-Identifier: Apache-2.0
// Reads JSON that comes in pieces cut anywhere, as a sequence of tokens. Strict RFC 8259 with
// checked UTF-8; memory does not grow with the text, which is looked at once and not copied but for
// short texts that are cut or have escapes.
//
//     scan_add(&scan, piece);
//     while ((token = scan_next(&scan)) > SCAN_MORE) …
//     … and at the end scan_end(&scan)
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "extproc/process/utf8.h"

enum scan_token {
    SCAN_FAULT,  // not JSON: `fault` says what and where; it stays so
    SCAN_MORE,   // the piece is used up
    SCAN_KEY,    // its value comes next
    SCAN_STRING,
    SCAN_NUMBER,
    SCAN_TRUE,
    SCAN_FALSE,
    SCAN_NULL,
    SCAN_OBJECT,
    SCAN_OBJECT_END,
    SCAN_ARRAY,
    SCAN_ARRAY_END,
};

enum { SCAN_DEPTH_MOST = 1024 };

// What the grammar allows next, between two tokens.
enum scan_expects {
    EXPECTS_KEY,
    EXPECTS_KEY_OR_END,  // the first of an object
    EXPECTS_COLON,
    EXPECTS_VALUE,
    EXPECTS_VALUE_OR_END,  // the first of an array
    EXPECTS_COMMA_OR_END,
    EXPECTS_NOTHING,
};

// The bit of a key's length.
#define SCAN_KEY_LENGTH(bytes) (UINT64_C(1) << (bytes) % 64)
#define SCAN_ALL_KEYS UINT64_MAX

// Only what stands above the line is for users.
struct scan {
    // May be set after any token: of which lengths keys are wanted (at first, all). Those of others
    // are passed over with their values, and no token is made of either; unless all are wanted, so
    // are those that are longer than the room.
    uint64_t key_lengths;
    size_t depth;         // objects and arrays that are open, after the token
    size_t token_offset;  // of the token's first byte, from the start of the text
    // SCAN_KEY, SCAN_STRING: the text without escapes, until the next call. If it is longer than
    // the room given to scan_init, text_is_cut and the text is empty.
    struct bytes text;
    bool text_is_cut;
    // SCAN_NUMBER: whether it is written as a whole number of at most 2^64 - 1, and that.
    bool is_whole;
    uint64_t number;
    struct fault fault;
    // ──────────
    const uint8_t *piece, *next, *end;
    size_t piece_offset;  // of the piece
    uint8_t expects;      // enum scan_expects
    uint8_t inside;       // which token is cut by the end of the piece, if any
    uint8_t part;         // where in it
    bool is_key;
    size_t skip_depth;          // where skipping ends
    const char *word;           // true, false or null
    const uint8_t *text_start;  // in this piece; NULL: the text is in `room`
    uint8_t *room;
    size_t room_bytes, room_len;
    struct utf8 utf8;                            // of a character that is cut
    uint8_t unit_left;                           // \u escapes: digits to come
    uint16_t unit, high_unit;                    // those that came; the first half of a pair
    uint64_t kinds;                              // of the innermost 64 that are open, a bit each
    uint64_t outer_kinds[SCAN_DEPTH_MOST / 64];  // of those further out, 64 each
};

// `room` holds texts that cannot be borrowed from a piece; it stays the caller's.
void scan_init(struct scan *scan, uint8_t *room, size_t room_bytes);

// The piece must stay until scan_next returned SCAN_MORE.
void scan_add(struct scan *scan, struct bytes piece);

enum scan_token scan_next(struct scan *scan);

// Of the byte behind the token.
static inline size_t scan_offset(const struct scan *scan) {
    return scan->piece_offset + (size_t)(scan->next - scan->piece);
}

// No tokens are made of what comes now, which is checked all the same: after SCAN_KEY its value,
// after SCAN_OBJECT and SCAN_ARRAY the rest of it with its end.
void scan_skip(struct scan *scan);

// The part of true, false or null that stands at the end of the piece, when it is used up there.
struct bytes scan_cut_word(const struct scan *scan);

// Whether a whole JSON value came, so that only white space may follow. A number ends by scan_end.
bool scan_is_whole(const struct scan *scan);

// No more pieces. False: the text is not a whole JSON value, and `fault` says why.
bool scan_end(struct scan *scan);
