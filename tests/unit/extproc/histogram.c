// SPDX-License-Identifier: Apache-2.0
#include "extproc/histogram.c"

static const struct histogram_shape shape = {
    .family = "f", .help = "Help.", .unit = 1000000000, .bounds = {{10, "10"}, {20, "2e+01"}}};

static void assert_text(const struct histogram *const *histograms, size_t count, const char *labels,
                        const char *expected) {
    struct buffer text = {0};
    assert_int_equal(histogram_write(&shape, histograms, count, labels, &text), STATUS_OK);
    assert_int_equal(buffer_append_byte(&text, '\0'), STATUS_OK);
    assert_string_equal((char *)text.data, expected);
    buffer_done(&text);
}

// "le" means less or equal, and each bucket holds those below it too.
static void test_histogram__counts_up_to_each_bound(void **state) {
    (void)state;
    struct histogram one = {0};
    const int64_t values[] = {-5, 0, 10, 11, 20, 21, INT64_C(3000000007)};
    for (size_t i = 0; i < COUNT_OF(values); i++) histogram_add(&one, &shape, values[i], 1);
    histogram_add(&one, &shape, 15, 2);
    const struct histogram *const all[] = {&one};
    assert_text(all, 1, "a=\"b\"",
                "f_bucket{a=\"b\",le=\"10\"} 3\n"
                "f_bucket{a=\"b\",le=\"2e+01\"} 7\n"
                "f_bucket{a=\"b\",le=\"+Inf\"} 9\n"
                "f_sum{a=\"b\"} 3.000000099\n"
                "f_count{a=\"b\"} 9\n");
}

static void test_histogram__sums_threads_and_leaves_out_what_is_empty(void **state) {
    (void)state;
    struct histogram one = {0}, two = {0}, empty = {0};
    histogram_add(&one, &shape, 10, 1);
    histogram_add(&two, &shape, 30, 1);
    const struct histogram *const all[] = {&one, NULL, &two}, *const none[] = {&empty, NULL};
    assert_text(all, 3, "",
                "f_bucket{le=\"10\"} 1\nf_bucket{le=\"2e+01\"} 1\nf_bucket{le=\"+Inf\"} 2\n"
                "f_sum 0.000000040\nf_count 2\n");
    assert_text(none, 2, "a=\"b\"", "");
    assert_text(none, 2, "",
                "f_bucket{le=\"10\"} 0\nf_bucket{le=\"2e+01\"} 0\nf_bucket{le=\"+Inf\"} 0\n"
                "f_sum 0.000000000\nf_count 0\n");
}
