// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/top.c"

static struct store store;
static struct buffer out;

static int setup(void **state) {
    (void)state;
    store = (struct store){0};
    out = (struct buffer){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_done(&store);
    buffer_done(&out);
    return 0;
}

// Names, leaf first.
static void add(const char *const *names, uint32_t depth, int64_t value) {
    const struct sample_key key = {
        .addresses = (const uintptr_t *)names, .depth = depth, .has_names = true};
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){0, value}), STATUS_OK);
}

static const char *write_top(const char *unit, int64_t duration_ns) {
    const struct profile profile = {.samples = &store,
                                    .sample_types = {{"none", "count"}, {"asked", unit}},
                                    .duration_ns = duration_ns};
    out.len = 0;
    assert_int_equal(top_write(&profile, 1, &out), STATUS_OK);
    assert_int_equal(buffer_append_byte(&out, '\0'), STATUS_OK);
    return (const char *)out.data;
}

static void test_top__flat_is_the_leaf_s_and_cum_everybody_s(void **state) {
    (void)state;
    add((const char *const[]){"leaf", "root"}, 2, 30);
    add((const char *const[]){"root"}, 1, 10);
    add((const char *const[]){"other", "root"}, 2, 60);
    assert_string_equal(write_top("count", 0),
                        "Type: asked\nTotal samples = 100\n"
                        "      flat  flat%   sum%        cum   cum%\n"
                        "        60 60.00% 60.00%         60 60.00%  other \n"
                        "        30 30.00% 90.00%         30 30.00%  leaf \n"
                        "        10 10.00% 100.00%        100 100.00%  root \n");
}

// Would catch: a recursive function with more than all of the time.
static void test_top__recursion_counts_once(void **state) {
    (void)state;
    add((const char *const[]){"again", "again", "again"}, 3, 5);
    assert_non_null(strstr(write_top("count", 0), "         5 100.00%  again"));
}

static void test_top__a_duration_is_told(void **state) {
    (void)state;
    add((const char *const[]){"leaf"}, 1, 1500000);
    assert_non_null(
        strstr(write_top("nanoseconds", 2500000000), "Duration: 2.5s, Total samples = 1.5ms\n"));
}

static void test_top__an_empty_profile_has_its_head_only(void **state) {
    (void)state;
    assert_string_equal(write_top("count", 0), "Type: asked\nTotal samples = 0\n"
                                               "      flat  flat%   sum%        cum   cum%\n");
}

static void test_top__quantities_read_as_pprof_writes_them(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        const char *unit, *text;
    } rows[] = {
        {0, "nanoseconds", "0"},
        {999, "nanoseconds", "999ns"},
        {1000, "nanoseconds", "1us"},
        {1500000000, "nanoseconds", "1.5s"},
        {90000000000, "nanoseconds", "1.5mins"},
        {-2000000, "nanoseconds", "-2ms"},
        {512 << 10, "bytes", "512kB"},
        {3 << 19, "bytes", "1.5MB"},
        {1, "bytes", "1B"},
        {1234567, "count", "1234567"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[QUANTITY_BYTES];
        write_quantity(rows[i].value, rows[i].unit, text);
        assert_string_equal(text, rows[i].text);
    }
}
