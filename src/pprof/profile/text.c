// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "pprof/profile/labels.h"
#include "pprof/profile/reserve.h"
#include "pprof/symbol/symbol.h"

static enum status write_frame(uintptr_t address, struct buffer *out) {
    struct symbol_line lines[SYMBOL_LINES_MOST];
    size_t count = symbol_resolve(address, lines);
    if (count == 0) return buffer_append_format(out, "#\t%#" PRIxPTR "\n", address);
    uintptr_t start = symbol_start(address);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        status = buffer_append_format(out, "#\t%#" PRIxPTR "\t%s+0x%" PRIxPTR "\t%s:%d\n", address,
                                      lines[i].function, start != 0 ? address - start : 0,
                                      lines[i].file, lines[i].line);
    }
    return status;
}

enum status text_write_frames(const struct sample_key *key, struct buffer *out) {
    enum status status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < key->depth; i++) {
        status = key->has_names
                     ? buffer_append_format(out, "#\t%s\n", (const char *)key->addresses[i])
                     : write_frame(key->addresses[i], out);
    }
    return status;
}

// Values may come from clients: none may leave its quotes, or its line.
static enum status write_quoted(const char *text, struct buffer *out) {
    enum status status = buffer_append_byte(out, '"');
    for (; status == STATUS_OK && *text != '\0'; text++) {
        uint8_t c = (uint8_t)*text;
        const char *form = c == '"' || c == '\\' ? "\\%c" : c < ' ' || c == 0x7f ? "\\x%02x" : "%c";
        status = buffer_append_format(out, form, c);
    }
    return status == STATUS_OK ? buffer_append_byte(out, '"') : status;
}

// {"thread":"worker", "state":"IO wait"}: as Go prints the labels of goroutines.
static enum status write_pair(const char *key, const char *value, int *count, struct buffer *out) {
    if (value == NULL || value[0] == '\0') return STATUS_OK;
    enum status status = buffer_append_text(out, (*count)++ == 0 ? "# labels: {" : ", ");
    if (status == STATUS_OK) status = write_quoted(key, out);
    if (status == STATUS_OK) status = buffer_append_byte(out, ':');
    return status == STATUS_OK ? write_quoted(value, out) : status;
}

static enum status write_labels(const struct sample_key *key, struct buffer *out) {
    int count = 0;
    enum status status = write_pair("thread", key->thread, &count, out);
    if (status == STATUS_OK) status = write_pair("state", key->state, &count, out);
    const struct label_set *set = labels_get(key->labels);
    for (int i = 0; set != NULL && status == STATUS_OK && i < LABELS_MOST; i++) {
        status = write_pair(set->labels[i].key, set->labels[i].value, &count, out);
    }
    if (status != STATUS_OK || count == 0) return status;
    return buffer_append_text(out, "}\n");
}

static int value_count(const struct source *source) {
    int count = 1;
    while (count < SAMPLE_VALUES && source->sample_types[count].type != NULL) count++;
    return count;
}

static enum status write_values(const struct source *source, const struct sample *sample,
                                struct buffer *out) {
    if (source->write_text_values != NULL) return source->write_text_values(sample, out);
    enum status status = buffer_append_format(out, "%" PRId64, sample->values[0]);
    for (int i = 1; status == STATUS_OK && i < value_count(source); i++) {
        status = buffer_append_format(out, " %" PRId64, sample->values[i]);
    }
    return status;
}

// pprof takes 1 off every address of a text, the leaf's too: Go prints what follows the call. Names
// have no address. A record without any makes pprof refuse the text, where it would otherwise take
// the places of texts for those of code.
static enum status write_addresses(const struct sample_key *key, struct buffer *out) {
    enum status status = buffer_append_text(out, " @");
    for (uint32_t i = 0; status == STATUS_OK && !key->has_names && i < key->depth; i++) {
        status = buffer_append_format(out, " %#" PRIxPTR, key->addresses[i] + 1);
    }
    return status == STATUS_OK ? buffer_append_byte(out, '\n') : status;
}

static enum status write_record(const struct source *source, const struct sample *sample,
                                struct buffer *out) {
    enum status status = write_values(source, sample, out);
    if (status == STATUS_OK) status = write_addresses(&sample->key, out);
    if (status == STATUS_OK) status = write_labels(&sample->key, out);
    if (status == STATUS_OK) status = text_write_frames(&sample->key, out);
    if (status != STATUS_OK) return status;
    return buffer_append_byte(out, '\n');
}

static int compare(const struct sample *left, const struct sample *right, int value) {
    return (left->values[value] > right->values[value]) -
           (left->values[value] < right->values[value]);
}

// qsort hands its comparison nothing but the two: an order is a function.
static int most_events_first(const void *a, const void *b) {
    return -compare(*(const struct sample *const *)a, *(const struct sample *const *)b, 0);
}
static int longest_first(const void *a, const void *b) {
    return -compare(*(const struct sample *const *)a, *(const struct sample *const *)b, 1);
}
static int largest_in_use_last(const void *a, const void *b) {
    return compare(*(const struct sample *const *)a, *(const struct sample *const *)b, 3);
}

static int (*const orders[])(const void *, const void *) = {
    [TEXT_MOST_EVENTS_FIRST] = most_events_first,
    [TEXT_LONGEST_FIRST] = longest_first,
    [TEXT_LARGEST_IN_USE_LAST] = largest_in_use_last,
};

static enum status write_sorted(const struct source *source, const struct store *store,
                                struct buffer *out) {
    if (store->sample_count == 0) return STATUS_OK;
    const struct sample **sorted = malloc(store->sample_count * sizeof *sorted);
    if (sorted == NULL) return STATUS_NO_MEMORY;
    size_t count = 0;
    for (const struct sample *s = store->first; s != NULL; s = s->next) sorted[count++] = s;
    qsort(sorted, count, sizeof *sorted, orders[source->text_order]);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        status = write_record(source, sorted[i], out);
    }
    free(sorted);
    return status;
}

static enum status write_total(const struct source *source, const struct store *store,
                               struct buffer *out) {
    int64_t total = 0;
    for (const struct sample *s = store->first; s != NULL; s = s->next) total += s->values[0];
    enum status status = buffer_append_format(out, "%s profile: total %" PRId64 "\n", source->name,
                                              total);
    int count = value_count(source);
    for (int i = 0; count > 1 && status == STATUS_OK && i < count; i++) {
        const struct profile_type *type = &source->sample_types[i];
        status = buffer_append_format(out, "%s%s/%s%s", i == 0 ? "# " : " ", type->type, type->unit,
                                      i == count - 1 ? "\n" : "");
    }
    return status;
}

enum status text_write(const struct source *source, const struct store *store, struct buffer *out) {
    enum status status = reserve_prepare();
    if (status != STATUS_OK) return status;
    status = source->write_text_head != NULL ? source->write_text_head(store, out)
                                             : write_total(source, store, out);
    if (status == STATUS_OK) status = write_sorted(source, store, out);
    if (status == STATUS_OK && source->write_text_tail != NULL) {
        status = source->write_text_tail(out);
    }
    return status;
}
