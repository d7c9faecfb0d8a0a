// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/source.h"

static const struct source *sources[SOURCES_MOST];
static size_t source_count;

enum status source_add(const struct source *source) {
    if (source_count == SOURCES_MOST) return STATUS_TOO_LARGE;
    if (source_find(bytes_of_text(source->name)) != NULL) return STATUS_BUSY;
    size_t place = source_count++;
    while (place > 0 && strcmp(sources[place - 1]->name, source->name) > 0) {
        sources[place] = sources[place - 1];
        place--;
    }
    sources[place] = source;
    return STATUS_OK;
}

const struct source *source_at(size_t place) {
    return place < source_count ? sources[place] : NULL;
}

const struct source *source_find(struct bytes name) {
    for (size_t i = 0; i < source_count; i++) {
        if (bytes_equal(bytes_of_text(sources[i]->name), name)) return sources[i];
    }
    return NULL;
}
