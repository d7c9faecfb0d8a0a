// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/text.c"

#include <stdio.h>

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

static const char *write_all(const struct source *source) {
    out.len = 0;
    assert_int_equal(text_write(source, &store, &out), STATUS_OK);
    assert_int_equal(buffer_append_byte(&out, '\0'), STATUS_OK);
    return (const char *)out.data;
}

static enum status write_a_head(const struct store *samples, struct buffer *to) {
    return buffer_append_format(to, "head of %u\n", samples->sample_count);
}

static enum status write_no_head(const struct store *samples, struct buffer *to) {
    (void)samples;
    (void)to;
    return STATUS_OK;
}

static const struct source plain = {.write_text_head = write_no_head};

static enum status write_a_tail(struct buffer *to) {
    return buffer_append_text(to, "# tail\n");
}

static enum status write_two_values(const struct sample *sample, struct buffer *to) {
    return buffer_append_format(to, "%d %d", (int)sample->values[1], (int)sample->values[0]);
}

static void add(uintptr_t address, int64_t a, int64_t b, int64_t d) {
    struct sample_key key = {.addresses = &address, .depth = 1};
    const int64_t values[SAMPLE_VALUES] = {a, b, 0, d};
    assert_int_equal(store_add(&store, &key, values), STATUS_OK);
}

static void test_text__head_records_and_tail_follow_each_other(void **state) {
    (void)state;
    const uintptr_t addresses[] = {0x10, 0x20};
    struct sample_key key = {.addresses = addresses, .depth = 2};
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){3, 7}), STATUS_OK);
    const struct source source = {.write_text_head = write_a_head,
                                  .write_text_tail = write_a_tail,
                                  .write_text_values = write_two_values};
    assert_string_equal(write_all(&source), "head of 1\n7 3 @ 0x11 0x21\n#\t0x10\n#\t0x20\n\n"
                                            "# tail\n");
}

static void test_text__a_profile_without_samples_has_its_head_only(void **state) {
    (void)state;
    const struct source source = {.write_text_head = write_a_head};
    assert_string_equal(write_all(&source), "head of 0\n");
}

static void test_text__a_source_without_a_head_gets_the_total(void **state) {
    (void)state;
    add(0x1, 5, 0, 0);
    add(0x2, 7, 0, 0);
    const struct source source = {.name = "streams"};
    const char *text = write_all(&source);
    assert_memory_equal(text, "streams profile: total 12\n7 @ 0x3\n", 34);
}

static void test_text__records_are_sorted_as_the_source_wants(void **state) {
    (void)state;
    add(0x1, 5, 1, 20);
    add(0x2, 7, 3, 10);
    add(0x3, 6, 2, 30);
    static const struct {
        enum text_order order;
        const char *expected;
    } rows[] = {
        {TEXT_MOST_EVENTS_FIRST, "7 @ 0x3\n#\t0x2\n\n6 @ 0x4\n#\t0x3\n\n5 @ 0x2\n#\t0x1\n\n"},
        {TEXT_LONGEST_FIRST, "7 @ 0x3\n#\t0x2\n\n6 @ 0x4\n#\t0x3\n\n5 @ 0x2\n#\t0x1\n\n"},
        {TEXT_LARGEST_IN_USE_LAST, "7 @ 0x3\n#\t0x2\n\n5 @ 0x2\n#\t0x1\n\n6 @ 0x4\n#\t0x3\n\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct source source = {.write_text_head = write_no_head,
                                      .text_order = rows[i].order};
        assert_string_equal(write_all(&source), rows[i].expected);
    }
}

static NOINLINE void named_function(void) {
    __asm__ volatile("nop\nnop\nnop");
}

static void test_text__a_named_frame_has_function_offset_file_and_line(void **state) {
    (void)state;
    uintptr_t address = (uintptr_t)named_function + 1;
    add(address, 1, 0, 0);
    const char *text = write_all(&plain);
    char expected[128];
    snprintf(expected, sizeof expected, "1 @ %#lx\n#\t%#lx\tnamed_function+0x1\t", address + 1,
             address);
    assert_memory_equal(text, expected, strlen(expected));
    assert_non_null(strstr(text, "tests/unit/pprof/profile/text.c:"));
}

static void test_text__names_stand_for_themselves(void **state) {
    (void)state;
    const char *const names[] = {"inner", "outer"};
    struct sample_key key = {.addresses = (const uintptr_t *)names, .depth = 2, .has_names = true};
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){3}), STATUS_OK);
    assert_string_equal(write_all(&plain), "3 @\n#\tinner\n#\touter\n\n");
}

static void test_text__all_values_are_written_and_told_what_they_are(void **state) {
    (void)state;
    const char *const names[] = {"inner"};
    struct sample_key key = {.addresses = (const uintptr_t *)names, .depth = 1, .has_names = true};
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){3, 50}), STATUS_OK);
    const struct source source = {.name = "streams",
                                  .sample_types = {{"streams", "count"}, {"age", "nanoseconds"}}};
    assert_string_equal(write_all(&source), "streams profile: total 3\n"
                                            "# streams/count age/nanoseconds\n"
                                            "3 50 @\n#\tinner\n\n");
}

static const char *labels_line(const char *thread, const char *label_state, const char *value) {
    store_done(&store);
    struct label_set set = {{{.key = "model"}}};
    memcpy(set.labels[0].value, value, strlen(value));
    struct sample_key key = {.labels = value[0] != '\0' ? labels_intern(&set) : 0,
                             .state = label_state};
    memcpy(key.thread, thread, strlen(thread));
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){1}), STATUS_OK);
    const char *text = write_all(&plain);
    assert_memory_equal(text, "1 @\n", 4);
    return text + 4;
}

static void test_text__labels_are_a_line_behind_the_record(void **state) {
    (void)state;
    assert_string_equal(labels_line("", NULL, ""), "\n");
    assert_string_equal(labels_line("worker", NULL, ""), "# labels: {\"thread\":\"worker\"}\n\n");
    assert_string_equal(labels_line("worker", "IO wait", "gpt"),
                        "# labels: {\"thread\":\"worker\", \"state\":\"IO wait\", "
                        "\"model\":\"gpt\"}\n\n");
}

// Values come from clients. Would catch: one that writes records of its own into the text.
static void test_text__a_label_stays_within_its_quotes(void **state) {
    (void)state;
    assert_string_equal(labels_line("", NULL, "a\"b\\c\n9 @ 0x1\x7f\x01"),
                        "# labels: {\"model\":\"a\\\"b\\\\c\\x0a9 @ 0x1\\x7f\\x01\"}\n\n");
    assert_string_equal(labels_line("\r\n", NULL, ""), "# labels: {\"thread\":\"\\x0d\\x0a\"}\n\n");
}

static void test_text__a_full_buffer_is_told(void **state) {
    (void)state;
    add(0x1, 5, 1, 20);
    for (size_t limit = 1; limit < 14; limit++) {
        buffer_done(&out);
        out.limit = limit;
        assert_int_equal(text_write(&plain, &store, &out), STATUS_TOO_LARGE);
    }
}
