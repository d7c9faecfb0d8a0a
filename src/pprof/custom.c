// SPDX-License-Identifier: Apache-2.0
// Labels and profiles of the program's own, as pprof.h offers them.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "pprof/http/served.h"
#include "pprof/pprof.h"
#include "pprof/profile/labels.h"
#include "pprof/profile/source.h"
#include "pprof/sample/dump.h"
#include "pprof/sample/thread.h"

enum { CUSTOM_MOST = 8 };

struct pprof_collector {
    struct store *store;
    enum status status;
};

struct pprof_writer {
    struct buffer *out;
    enum status status;
};

static struct source sources[CUSTOM_MOST];
static size_t source_count;

static void copy_text(char *to, size_t size, const char *from) {
    memcpy(to, from, strnlen(from, size - 1));
}

uint32_t pprof_labels_intern(const struct pprof_label *labels, size_t count) {
    struct label_set set = {0};
    for (size_t i = 0; i < count && i < LABELS_MOST; i++) {
        copy_text(set.labels[i].key, LABEL_KEY_BYTES, labels[i].key);
        copy_text(set.labels[i].value, LABEL_VALUE_BYTES, labels[i].value);
    }
    return labels_intern(&set);
}

uint32_t pprof_labels_add(uint32_t before, const char *key, const char *value, size_t value_bytes,
                          bool is_known) {
    return labels_add(before, key, value, value_bytes, is_known);
}

uint32_t pprof_labels_push(uint32_t set) {
    uint32_t before = thread_labels;
    thread_labels = set;
    return before;
}

void pprof_labels_pop(uint32_t before) {
    thread_labels = before;
}

const char *pprof_labels_value(uint32_t set, const char *key) {
    const struct label_set *labels = labels_get(set);
    for (int i = 0; labels != NULL && i < LABELS_MOST; i++) {
        if (strcmp(labels->labels[i].key, key) == 0) return labels->labels[i].value;
    }
    return "";
}

void pprof_collector_add(struct pprof_collector *collector, const char *const *frames,
                         size_t frame_count, const int64_t values[2], uint32_t labels) {
    if (frame_count > STACK_DEPTH) frame_count = STACK_DEPTH;
    const struct sample_key key = {.addresses = (const uintptr_t *)frames,
                                   .depth = (uint32_t)frame_count,
                                   .has_names = true,
                                   .labels = labels};
    const int64_t all[SAMPLE_VALUES] = {values[0], values[1]};
    enum status status = store_add(collector->store, &key, all);
    if (collector->status == STATUS_OK) collector->status = status;
}

void pprof_write(struct pprof_writer *writer, const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (len < 0 || writer->status != STATUS_OK) return;
    if ((size_t)len >= sizeof line) len = sizeof line - 1;
    writer->status = buffer_append(writer->out, bytes_of(line, (size_t)len));
}

static enum status collect(struct store *store, void *context) {
    const struct pprof_profile *profile = context;
    struct pprof_collector collector = {.store = store};
    profile->collect(&collector, profile->context);
    return collector.status;
}

static int64_t count(void *context) {
    struct store store = {0};
    int64_t total = 0;
    if (collect(&store, context) == STATUS_OK) {
        for (const struct sample *s = store.first; s != NULL; s = s->next) total += s->values[0];
    }
    store_done(&store);
    return total;
}

static int64_t period(void) {
    return 1;
}

static enum status write_dumps(struct buffer *out) {
    struct pprof_writer writer = {.out = out};
    for (size_t i = 0; i < source_count; i++) {
        const struct pprof_profile *profile = sources[i].context;
        bool is_shown = profile->write_dump != NULL && served_has(profile->name);
        if (is_shown) profile->write_dump(&writer, profile->context);
    }
    return writer.status;
}

int pprof_profile_add(const struct pprof_profile *profile) {
    if (thread_is_disabled()) return 0;
    if (source_count == CUSTOM_MOST) return -ENOSPC;
    struct source *source = &sources[source_count];
    *source = (struct source){
        .name = profile->name,
        .description = profile->description,
        .sample_types = {{profile->values[0].type, profile->values[0].unit},
                         {profile->values[1].type, profile->values[1].unit}},
        .default_sample_type = profile->values[0].type,
        .period_type = {profile->values[0].type, profile->values[0].unit},
        .period = period,
        .collect = collect,
        .count = count,
        .context = (void *)(uintptr_t)profile,
    };
    enum status status = source_add(source);
    if (status != STATUS_OK) return status == STATUS_BUSY ? -EEXIST : -ENOSPC;
    source_count++;
    dump_append(write_dumps);
    return 0;
}
