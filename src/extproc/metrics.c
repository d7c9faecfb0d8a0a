// SPDX-License-Identifier: Apache-2.0
#include "extproc/metrics.h"

#include <assert.h>
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

#define US(number, text)                                                                           \
    { (number) * 1000, (text) }

static const struct histogram_shape message_duration = {
    .family = "extproc_message_duration_seconds",
    .help = "From a message's last bytes being read to its answer being written.",
    .unit = 1000000000,
    .bounds = {US(10, "1e-05"), US(25, "2.5e-05"), US(50, "5e-05"), US(100, "0.0001"),
               US(250, "0.00025"), US(500, "0.0005"), US(1000, "0.001"), US(2500, "0.0025"),
               US(5000, "0.005"), US(10000, "0.01"), US(25000, "0.025"), US(50000, "0.05"),
               US(100000, "0.1"), US(250000, "0.25"), US(1000000, "1")},
};

void metrics_add_messages(struct metrics *metrics, int64_t duration_ns, uint64_t count) {
    if (count != 0)
        histogram_add(&metrics->message_duration, &message_duration, duration_ns, count);
}

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
    const struct histogram *durations[METRICS_SETS_MOST];
    assert(count <= COUNT_OF(durations));
    for (size_t i = 0; i < count; i++) {
        durations[i] = &sets[i]->message_duration;
    }
    enum status status = histogram_write_head(&message_duration, text);
    if (status != STATUS_OK) return status;
    return histogram_write(&message_duration, durations, count, "", text);
}
