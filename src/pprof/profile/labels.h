// SPDX-License-Identifier: Apache-2.0
// Label sets: a few key=value pairs under one number, so that a sample carries them for the price
// of four bytes. Values may come from clients, so the table is bounded: it holds LABEL_SETS_MOST
// sets and gives every further one the same number, whose values all read "other". What clients
// claim fills half of it at most, and a value that finds no place reads "other" beside those that
// did.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LABEL_SETS_MOST = 256, LABELS_MOST = 4, LABEL_KEY_BYTES = 16, LABEL_VALUE_BYTES = 64 };

struct label {
    char key[LABEL_KEY_BYTES];
    char value[LABEL_VALUE_BYTES];
};

struct label_set {
    struct label labels[LABELS_MOST];  // zero-filled; an empty key ends them
};

// The number of the set, the same for equal sets; never 0. A hash, and a search of 2 KiB under a
// lock: some hundred nanoseconds.
// Context: any thread, not signal.
uint32_t labels_intern(const struct label_set *set);

// The number of the set with one label more, or with another value of that key: a set that is put
// together bit by bit, as things become known. `key` is static text; what is too long is cut, and a
// label that does not fit into the set is left out. `is_known`: the value is no mere claim of a
// client; once it was added so, it is found also as a claim. Some tens of nanoseconds, and no lock,
// where it was asked for before. Context: any thread, not signal.
uint32_t labels_add(uint32_t number, const char *key, const char *text, size_t bytes,
                    bool is_known);

// The set of a number that one of these gave; lives as long as the process. NULL for 0. Context:
// any thread.
const struct label_set *labels_get(uint32_t number);
