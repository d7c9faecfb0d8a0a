// SPDX-License-Identifier: Apache-2.0
#include "extproc/metrics.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    const char *family;
    const char *labels;
    const char *type;
    const char *help;
} rows[] = {
#define ROW(metric, family, labels, type, help) [metric] = {family, labels, type, help},
    METRICS_TABLE(ROW)
#undef ROW
};

static enum status write_row(size_t row, uint64_t value, struct buffer *text) {
    bool is_first = row == 0 || strcmp(rows[row].family, rows[row - 1].family) != 0;
    if (is_first) {
        enum status status = buffer_append_format(text, "# HELP %s %s\n# TYPE %s %s\n",
                                                  rows[row].family, rows[row].help,
                                                  rows[row].family, rows[row].type);
        if (status != STATUS_OK) return status;
    }
    const char *labels = rows[row].labels;
    bool has_labels = labels[0] != '\0';
    return buffer_append_format(text, "%s%s%s%s %" PRIu64 "\n", rows[row].family,
                                has_labels ? "{" : "", labels, has_labels ? "}" : "", value);
}

enum status metrics_write(const struct metrics *const *sets, size_t count, struct buffer *text) {
    for (size_t row = 0; row < METRIC_COUNT; row++) {
        uint64_t value = 0;
        for (size_t i = 0; i < count; i++) {
            value += metrics_read(sets[i], (enum metric)row);
        }
        enum status status = write_row(row, value, text);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}
