// SPDX-License-Identifier: Apache-2.0
// What can produce a profile on demand: heap, mutex, goroutine … and those that a program registers
// itself. Served, listed, subtracted and printed all alike; a source only fills a store.
#pragma once

#include "base/bytes.h"
#include "pprof/profile/profile.h"

// How Go sorts the records of the text form.
enum text_order { TEXT_MOST_EVENTS_FIRST, TEXT_LONGEST_FIRST, TEXT_LARGEST_IN_USE_LAST };

struct source {
    const char *name;
    const char *description;  // for the index, HTML
    struct profile_type sample_types[SAMPLE_VALUES];
    const char *default_sample_type;
    struct profile_type period_type;
    int64_t (*period)(void);
    // Adds the samples of this moment, with cumulative values where the profile counts events.
    // STATUS_NO_MEMORY. Context: any thread.
    enum status (*collect)(struct store *store, void *context);
    // The same for the text form, where that holds other values; NULL: collect does.
    enum status (*collect_text)(struct store *store);
    // For the index. Context: any thread.
    int64_t (*count)(void *context);
    // The lines above the records of the text form, and those below. NULL: "NAME profile: total N",
    // by the first value, with the types where there are several; and nothing.
    enum status (*write_text_head)(const struct store *store, struct buffer *out);
    enum status (*write_text_tail)(struct buffer *out);
    // One record up to its " @": how the values are written. NULL: one after the other.
    enum status (*write_text_values)(const struct sample *sample, struct buffer *out);
    enum text_order text_order;
    // Before a snapshot with gc=1; NULL: nothing to do.
    void (*tidy)(void);
    // A window of seconds= begins (true) and ends: sample everything meanwhile. NULL: always does.
    void (*watch)(bool is_watched);
    // A dump for debug=2; NULL: the same as debug=1.
    enum status (*write_dump)(struct buffer *out);
    void *context;  // handed to collect and count
};

enum { SOURCES_MOST = 32 };

// Lists a source; it stays the caller's and must stay. STATUS_TOO_LARGE: the list is full;
// STATUS_BUSY: the name is taken. Context: start-up.
MUST_USE enum status source_add(const struct source *source);

// By place, sorted by name; NULL past the last. Context: any thread.
const struct source *source_at(size_t place);

// NULL: there is none of that name. Context: any thread.
const struct source *source_find(struct bytes name);
