// SPDX-License-Identifier: Apache-2.0
#include "extproc/metrics.c"

#include <stdio.h>

static char *write_text(const struct metrics *const *sets, size_t count) {
    static struct buffer text;
    text.len = 0;
    assert_int_equal(metrics_write(sets, count, &text), STATUS_OK);
    assert_int_equal(buffer_append_byte(&text, '\0'), STATUS_OK);
    return (char *)text.data;
}

static void test_metrics__sums_the_sets_of_all_threads(void **state) {
    (void)state;
    struct metrics a = {0}, b = {0};
    metrics_add(&a, METRIC_TOKENS_INPUT, 5);
    metrics_add(&b, METRIC_TOKENS_INPUT, 7);
    metrics_add(&a, METRIC_CONNECTIONS, 3);
    metrics_subtract(&a, METRIC_CONNECTIONS, 2);
    metrics_add(&b, METRIC_RECEIVED_BYTES, UINT64_C(1) << 40);
    const struct metrics *const sets[] = {&a, &b};
    const char *text = write_text(sets, 2);
    assert_non_null(strstr(text, "\nextproc_tokens_total{type=\"input\"} 12\n"));
    assert_non_null(strstr(text, "\nextproc_tokens_total{type=\"output\"} 0\n"));
    assert_non_null(strstr(text, "\nextproc_connections 1\n"));
    assert_non_null(strstr(text, "\nextproc_received_bytes_total 1099511627776\n"));
}

// Prometheus refuses a family that is explained twice, and tools a type that does not fit the name.
static void test_metrics__explains_each_family_once_and_before_its_samples(void **state) {
    (void)state;
    struct metrics set = {0};
    const struct metrics *const sets[] = {&set};
    const char *text = write_text(sets, 1);
    for (size_t row = 0; row < METRIC_COUNT; row++) {
        char line[256];
        snprintf(line, sizeof(line), "# TYPE %s %s\n", rows[row].family, rows[row].type);
        const char *type = strstr(text, line);
        assert_non_null(type);
        assert_null(strstr(type + 1, line));
        snprintf(line, sizeof(line), "\n%s%s", rows[row].family,
                 rows[row].labels[0] != '\0' ? "{" : " ");
        assert_true(strstr(text, line) > type);
        const char *end = strrchr(rows[row].family, '_');
        bool is_counter = strcmp(rows[row].type, "counter") == 0;
        assert_int_equal(strcmp(end, "_total") == 0, is_counter);
        snprintf(line, sizeof(line), "# HELP %s ", rows[row].family);
        const char *help = strstr(text, line);
        assert_non_null(help);
        assert_int_not_equal(help[strlen(line)], '\n');
    }
}

static void test_metrics__has_no_sample_twice(void **state) {
    (void)state;
    for (size_t a = 0; a < METRIC_COUNT; a++) {
        for (size_t b = 0; b < a; b++) {
            assert_false(strcmp(rows[a].family, rows[b].family) == 0 &&
                         strcmp(rows[a].labels, rows[b].labels) == 0);
        }
    }
}
