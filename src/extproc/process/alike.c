// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/alike.h"

#include "extproc/process/pass.h"

// To keep an event costs about half of what it costs to read it, and is in vain if none like it
// follows.
enum { CREDIT_FIRST = 8, CREDIT_MOST = 32 };

void alike_init(struct alike *alike) {
    alike->credit = CREDIT_FIRST;
    alike->text_bytes = 0;
}

/* compared */

size_t alike_measure(struct alike *alike, struct bytes piece) {
    const uint8_t *at = piece.data, *end = piece.data + piece.len;
    size_t kept = 0, place = 0;
    if (alike->text_bytes == 0) return 0;
    for (;;) {
        size_t left = alike->text_bytes - kept, ahead = (size_t)(end - at);
        size_t same = find_difference(alike->text + kept, at, left < ahead ? left : ahead);
        kept += same;
        at += same;
        if (kept == alike->text_bytes) break;
        if (at == end) return 0;
        // A number differs at its end, too: where the other one goes on.
        while (place < alike->place_count && alike->places[place].end < kept) place++;
        if (place == alike->place_count || kept < alike->places[place].start) return 0;
        at = pass_scalar(at - (kept - alike->places[place].start), end);
        if (at == NULL) return 0;
        kept = alike->places[place++].end;
    }
    if (alike->credit < CREDIT_MOST) alike->credit++;
    return (size_t)(at - piece.data);
}

/* kept */

static bool is_structure(uint8_t c) {
    switch (c) {
    case '{':
    case '}':
    case '[':
    case ']':
    case ',':
    case ':': return true;
    default: return find_is_gap(c);
    }
}

// In text that is known to be valid. False: it has a usage, or something that is not plain.
static bool find_places(struct alike *alike, size_t text_bytes) {
    const uint8_t *at = alike->text, *end = at + text_bytes, *behind;
    struct bytes key = BYTES_EMPTY;  // the last one
    alike->place_count = 0;
    for (; at != end; at = behind) {
        if (is_structure(*at)) {
            if (*at == '{' && bytes_equal(key, BYTES_LITERAL("\"usage\""))) return false;
            behind = at + 1;
            continue;
        }
        behind = pass_scalar(at, end);
        if (behind == NULL) return false;
        struct bytes scalar = bytes_of(at, (size_t)(behind - at));
        const uint8_t *next = pass_gap(behind, end);
        if (next != end && *next == ':') {
            if (pass_plain_text(at, end) == NULL) return false;  // it may mean one that matters
            key = scalar;
            continue;
        }
        bool is_model = bytes_equal(key, BYTES_LITERAL("\"model\""));
        if (is_model || alike->place_count == ALIKE_PLACES_MOST) continue;
        alike->places[alike->place_count].start = (uint16_t)(at - alike->text);
        alike->places[alike->place_count++].end = (uint16_t)(behind - alike->text);
    }
    return true;
}

void alike_keep(struct alike *alike, struct bytes event) {
    alike->text_bytes = 0;
    if (event.len == 0 || event.len > sizeof(alike->text) || alike->credit == 0) return;
    alike->credit--;
    memcpy(alike->text, event.data, event.len);
    if (find_places(alike, event.len)) alike->text_bytes = event.len;
}
