// SPDX-License-Identifier: Apache-2.0
// The events of a stream are alike: most differ from the one before in a piece of text, or in a
// number that nobody wants. Keeps the text of the last event that was read, and knows the places in
// it whose values may be others without any difference to usage.h: such an event is compared, and
// not read. What is not sure is read.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    ALIKE_TEXT_MOST_BYTES = 768,  // a longer event is not kept
    ALIKE_PLACES_MOST = 24,       // further values may not differ
};

struct alike {
    size_t credit;      // how often an event may be kept; each one that is like it is worth another
    size_t text_bytes;  // 0: nothing is kept
    size_t place_count;
    struct {
        uint16_t start, end;
    } places[ALIKE_PLACES_MOST];  // strings, numbers, true, false, null; in order
    uint8_t text[ALIKE_TEXT_MOST_BYTES];
};

void alike_init(struct alike *alike);

// How long the event at the front of `piece` is, with the end of its line, if it is valid JSON and
// says the same as the one that is kept: the same model or none, and no usage. 0: not sure.
size_t alike_measure(struct alike *alike, struct bytes piece);

// An event was read: it is valid JSON, and the end of its line belongs to it. It replaces the one
// that was kept, even where it is not fit to be kept itself. BYTES_EMPTY: it was not valid, or did
// not come in one piece.
void alike_keep(struct alike *alike, struct bytes event);
