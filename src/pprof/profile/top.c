// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/top.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pprof/profile/frames.h"
#include "pprof/profile/numbering.h"
#include "pprof/profile/reserve.h"

enum { QUANTITY_BYTES = 32 };

struct row {
    struct bytes name;  // "function file", of the table's keys
    int64_t flat, cumulative;
    const struct sample *counted;  // the last sample in `cumulative`: recursion counts once
    bool is_inlined;               // somewhere
};

struct table {
    size_t value;
    struct numbering names;  // number n is row n
    struct buffer rows;      // of struct row
    struct buffer text;      // the name under way
    int64_t total;
};

// Function and file together: C has static functions, and many of one name.
static enum status find_row(struct table *table, const struct symbol_line *line,
                            struct row **ret_row) {
    uint32_t number;
    table->text.len = 0;
    enum status status = buffer_append_format(&table->text, "%s %s", line->function, line->file);
    if (status != STATUS_OK) return status;
    status = numbering_find(&table->names, buffer_bytes(&table->text), &number);
    if (status != STATUS_OK) return status;
    if (number * sizeof(struct row) == table->rows.len) {
        const struct row fresh = {.name = numbering_key(&table->names, number)};
        status = buffer_append(&table->rows, bytes_of(&fresh, sizeof fresh));
        if (status != STATUS_OK) return status;
    }
    *ret_row = (struct row *)(void *)table->rows.data + number;
    return STATUS_OK;
}

static enum status add_sample(struct table *table, const struct sample *sample) {
    int64_t value = sample->values[table->value];
    table->total += value;
    for (uint32_t i = 0; i < sample->key.depth; i++) {
        struct frame frame;
        frame_read(&sample->key, i, &frame);
        for (size_t j = 0; j < frame.line_count; j++) {
            struct row *row;
            enum status status = find_row(table, &frame.lines[j], &row);
            if (status != STATUS_OK) return status;
            if (i == 0 && j == 0) row->flat += value;
            if (row->counted != sample) row->cumulative += value;
            row->counted = sample;
            if (j + 1 < frame.line_count) row->is_inlined = true;
        }
    }
    return STATUS_OK;
}

static int largest_first(const void *a, const void *b) {
    const struct row *left = a;
    const struct row *right = b;
    if (left->flat != right->flat) return left->flat < right->flat ? 1 : -1;
    if (left->cumulative != right->cumulative) {
        return left->cumulative < right->cumulative ? 1 : -1;
    }
    size_t shorter = left->name.len < right->name.len ? left->name.len : right->name.len;
    return memcmp(left->name.data, right->name.data, shorter);
}

// As pprof writes quantities: 1.50s, 512kB, 42.
static void write_quantity(int64_t value, const char *unit, char text[QUANTITY_BYTES]) {
    static const struct {
        const char *unit;
        double size;
        const char *name;
    } scales[] = {
        {"nanoseconds", 60e9, "mins"}, {"nanoseconds", 1e9, "s"}, {"nanoseconds", 1e6, "ms"},
        {"nanoseconds", 1e3, "us"},    {"nanoseconds", 1, "ns"},  {"bytes", 1 << 30, "GB"},
        {"bytes", 1 << 20, "MB"},      {"bytes", 1 << 10, "kB"},  {"bytes", 1, "B"},
    };
    for (size_t i = 0; i < COUNT_OF(scales) && value != 0; i++) {
        if (strcmp(scales[i].unit, unit) != 0) continue;
        if (fabs((double)value) < scales[i].size) continue;
        snprintf(text, QUANTITY_BYTES, "%.4g%s", (double)value / scales[i].size, scales[i].name);
        return;
    }
    snprintf(text, QUANTITY_BYTES, "%" PRId64, value);
}

static double percent(int64_t value, int64_t total) {
    return total != 0 ? 100.0 * (double)value / (double)total : 0;
}

static enum status write_head(const struct profile *profile, const struct table *table,
                              struct buffer *out) {
    const struct profile_type *type = &profile->sample_types[table->value];
    char total[QUANTITY_BYTES];
    char duration[QUANTITY_BYTES];
    write_quantity(table->total, type->unit, total);
    write_quantity(profile->duration_ns, "nanoseconds", duration);
    enum status status = buffer_append_format(out, "Type: %s\n", type->type);
    if (status == STATUS_OK && profile->duration_ns != 0) {
        status = buffer_append_format(out, "Duration: %s, ", duration);
    }
    if (status != STATUS_OK) return status;
    return buffer_append_format(out, "Total samples = %s\n%10s %6s %6s %10s %6s\n", total, "flat",
                                "flat%", "sum%", "cum", "cum%");
}

static enum status write_rows(const struct profile *profile, const struct table *table,
                              struct buffer *out) {
    const char *unit = profile->sample_types[table->value].unit;
    const struct row *rows = (const struct row *)(const void *)table->rows.data;
    int64_t sum = 0;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < table->names.count; i++) {
        const struct row *row = &rows[i];
        if (row->flat == 0 && row->cumulative == 0) continue;
        char flat[QUANTITY_BYTES];
        char cumulative[QUANTITY_BYTES];
        write_quantity(row->flat, unit, flat);
        write_quantity(row->cumulative, unit, cumulative);
        sum += row->flat;
        status = buffer_append_format(out, "%10s %5.2f%% %5.2f%% %10s %5.2f%%  %.*s%s\n", flat,
                                      percent(row->flat, table->total), percent(sum, table->total),
                                      cumulative, percent(row->cumulative, table->total),
                                      (int)row->name.len, (const char *)row->name.data,
                                      row->is_inlined ? " (inline)" : "");
    }
    return status;
}

enum status top_write(const struct profile *profile, size_t value, struct buffer *out) {
    struct table table = {.value = value, .names.pool.limit_bytes = out->limit};
    enum status status = reserve_prepare();
    for (const struct sample *s = profile->samples->first; s != NULL; s = s->next) {
        if (status != STATUS_OK) break;
        if (s->values[value] != 0) status = add_sample(&table, s);
    }
    if (table.rows.len != 0) {
        qsort(table.rows.data, table.names.count, sizeof(struct row), largest_first);
    }
    if (status == STATUS_OK) status = write_head(profile, &table, out);
    if (status == STATUS_OK) status = write_rows(profile, &table, out);
    numbering_done(&table.names);
    buffer_done(&table.rows);
    buffer_done(&table.text);
    return status;
}
