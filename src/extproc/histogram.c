// SPDX-License-Identifier: Apache-2.0
#include "extproc/histogram.h"

#include <inttypes.h>

static void add(_Atomic uint64_t *cell, uint64_t amount) {
    uint64_t value = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, value + amount, memory_order_relaxed);
}

void histogram_add(struct histogram *histogram, const struct histogram_shape *shape, int64_t value,
                   uint64_t times) {
    if (value < 0) value = 0;
    size_t at = 0;
    while (at < HISTOGRAM_BOUNDS_MOST && shape->bounds[at].text != NULL &&
           value > shape->bounds[at].value) {
        at++;
    }
    bool is_over = at == HISTOGRAM_BOUNDS_MOST || shape->bounds[at].text == NULL;
    add(&histogram->counts[is_over ? HISTOGRAM_BOUNDS_MOST : at], times);
    add(&histogram->sum, (uint64_t)value * times);
}

enum status histogram_write_head(const struct histogram_shape *shape, struct buffer *text) {
    return buffer_append_format(text, "# HELP %s %s\n# TYPE %s histogram\n", shape->family,
                                shape->help, shape->family);
}

// The sum of one cell of all.
static uint64_t total(const struct histogram *const *histograms, size_t count, size_t cell) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (histograms[i] == NULL) continue;
        sum += atomic_load_explicit(&histograms[i]->counts[cell], memory_order_relaxed);
    }
    return sum;
}

static uint64_t total_sum(const struct histogram *const *histograms, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (histograms[i] == NULL) continue;
        sum += atomic_load_explicit(&histograms[i]->sum, memory_order_relaxed);
    }
    return sum;
}

static enum status write_sum(const struct histogram_shape *shape, uint64_t sum, uint64_t values,
                             const char *labels, struct buffer *text) {
    uint64_t unit = (uint64_t)shape->unit;
    bool has_labels = labels[0] != '\0';
    const char *open = has_labels ? "{" : "", *close = has_labels ? "}" : "";
    enum status status = buffer_append_format(text, "%s_sum%s%s%s %" PRIu64, shape->family, open,
                                              labels, close, sum / unit);
    if (status == STATUS_OK && unit == 1000000000) {
        status = buffer_append_format(text, ".%09" PRIu64, sum % unit);
    }
    if (status != STATUS_OK) return status;
    return buffer_append_format(text, "\n%s_count%s%s%s %" PRIu64 "\n", shape->family, open, labels,
                                close, values);
}

enum status histogram_write(const struct histogram_shape *shape,
                            const struct histogram *const *histograms, size_t count,
                            const char *labels, struct buffer *text) {
    // Read once, so that the last bucket is the count whatever is added meanwhile.
    uint64_t counts[HISTOGRAM_BOUNDS_MOST + 1], values = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MOST; i++) {
        counts[i] = total(histograms, count, i);
        values += counts[i];
    }
    if (values == 0 && labels[0] != '\0') return STATUS_OK;
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t below = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS_MOST && shape->bounds[i].text != NULL; i++) {
        below += counts[i];
        enum status status = buffer_append_format(text, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n",
                                                  shape->family, labels, comma,
                                                  shape->bounds[i].text, below);
        if (status != STATUS_OK) return status;
    }
    enum status status = buffer_append_format(text, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n",
                                              shape->family, labels, comma, values);
    if (status != STATUS_OK) return status;
    return write_sum(shape, total_sum(histograms, count), values, labels, text);
}
