// SPDX-License-Identifier: Apache-2.0
#include "pprof/custom.c"

static int setup(void **state) {
    (void)state;
    pprof_labels_pop(0);
    return 0;
}

static void test_custom__labels_are_pushed_and_popped_like_a_stack(void **state) {
    (void)state;
    const struct pprof_label first[] = {{"model", "a"}, {"route", "r"}};
    const struct pprof_label second[] = {{"model", "b"}};
    uint32_t one = pprof_labels_intern(first, 2);
    uint32_t two = pprof_labels_intern(second, 1);
    assert_int_equal(pprof_labels_intern(first, 2), one);
    assert_int_not_equal(one, two);
    uint32_t outer = pprof_labels_push(one);
    uint32_t inner = pprof_labels_push(two);
    assert_int_equal(outer, 0);
    assert_int_equal(inner, one);
    assert_int_equal(thread_labels, two);
    pprof_labels_pop(inner);
    assert_int_equal(thread_labels, one);
    pprof_labels_pop(outer);
    assert_int_equal(thread_labels, 0);
    assert_string_equal(pprof_labels_value(one, "model"), "a");
    assert_string_equal(pprof_labels_value(one, "route"), "r");
    assert_string_equal(pprof_labels_value(two, "route"), "");
    assert_string_equal(pprof_labels_value(0, "model"), "");
}

// Would catch: a text written behind its array.
static void test_custom__long_keys_and_values_and_too_many_labels_are_cut(void **state) {
    (void)state;
    char text[200] = {0};
    memset(text, 'x', sizeof text - 1);
    const struct pprof_label labels[] = {{text, text}, {"b", "2"}, {"c", "3"},
                                         {"d", "4"},   {"e", "5"}, {"f", "6"}};
    uint32_t set = pprof_labels_intern(labels, 6);
    const struct label_set *stored = labels_get(set);
    assert_non_null(stored);
    assert_int_equal(strlen(stored->labels[0].key), LABEL_KEY_BYTES - 1);
    assert_int_equal(strlen(stored->labels[0].value), LABEL_VALUE_BYTES - 1);
    assert_string_equal(pprof_labels_value(set, "d"), "4");
    assert_string_equal(pprof_labels_value(set, "e"), "");
}

static const char *const names[] = {"inner", "outer"};

static void collect_two(struct pprof_collector *collector, void *context) {
    (void)context;
    pprof_collector_add(collector, names, 2, (const int64_t[2]){1, 100}, 0);
    pprof_collector_add(collector, names, 2, (const int64_t[2]){1, 50}, 0);
    pprof_collector_add(collector, names, 1, (const int64_t[2]){3, 7}, 0);
}

static void write_a_dump(struct pprof_writer *writer, void *context) {
    pprof_write(writer, "dump of %s\n", (const char *)context);
}

static char context[] = "the context";

static const struct pprof_profile profile = {.name = "streams",
                                             .description = "For this test.",
                                             .values = {{"streams", "count"}, {"age", "ns"}},
                                             .collect = collect_two,
                                             .write_dump = write_a_dump,
                                             .context = context};

static void test_custom__a_profile_of_one_s_own_is_a_source_like_others(void **state) {
    (void)state;
    assert_int_equal(pprof_profile_add(&profile), 0);
    assert_int_equal(pprof_profile_add(&profile), -EEXIST);
    const struct source *source = source_find(BYTES_LITERAL("streams"));
    if (source == NULL) {
        fail_msg("it is not listed");
        return;
    }
    assert_string_equal(source->sample_types[0].type, "streams");
    assert_string_equal(source->sample_types[1].unit, "ns");
    assert_null(source->sample_types[2].type);
    assert_int_equal(source->count(source->context), 5);
    struct store samples = {0};
    assert_int_equal(source->collect(&samples, source->context), STATUS_OK);
    assert_int_equal(samples.sample_count, 2);
    assert_int_equal(samples.first->values[0], 2);
    assert_int_equal(samples.first->values[1], 150);
    assert_true(samples.first->key.has_names);
    assert_int_equal(samples.first->key.addresses[1], (uintptr_t)names[1]);
    store_done(&samples);
    samples.pool.limit_bytes = 1;
    assert_int_equal(source->collect(&samples, source->context), STATUS_NO_MEMORY);
}

static void test_custom__its_dump_is_written_behind_the_threads(void **state) {
    (void)state;
    struct buffer out = {0};
    assert_int_equal(write_dumps(&out), STATUS_OK);
    assert_true(bytes_equal(buffer_bytes(&out), BYTES_LITERAL("dump of the context\n")));
    out.limit = out.len;
    assert_int_equal(write_dumps(&out), STATUS_TOO_LARGE);
    buffer_done(&out);
}

static void test_custom__too_many_frames_are_cut(void **state) {
    (void)state;
    const char *many[STACK_DEPTH + 20];
    for (size_t i = 0; i < COUNT_OF(many); i++) many[i] = "x";
    struct store samples = {0};
    struct pprof_collector collector = {.store = &samples};
    pprof_collector_add(&collector, many, COUNT_OF(many), (const int64_t[2]){1, 1}, 0);
    assert_int_equal(samples.first->key.depth, STACK_DEPTH);
    store_done(&samples);
}

static void test_custom__a_long_line_of_a_dump_is_cut(void **state) {
    (void)state;
    char text[2000] = {0};
    memset(text, 'x', sizeof text - 1);
    struct buffer out = {0};
    struct pprof_writer writer = {.out = &out};
    pprof_write(&writer, "%s", text);
    assert_in_range(out.len, 100, 1999);
    pprof_write(&writer, "end");
    assert_memory_equal(out.data + out.len - 3, "end", 3);
    buffer_done(&out);
}

static void test_custom__only_so_many_fit(void **state) {
    (void)state;
    static struct pprof_profile more[CUSTOM_MOST + 1];
    static char more_names[CUSTOM_MOST + 1][3];
    int error = 0;
    size_t added = 0;
    for (size_t i = 0; i <= CUSTOM_MOST; i++) {
        more_names[i][0] = 'm';
        more_names[i][1] = (char)('a' + i);
        more[i] = profile;
        more[i].name = more_names[i];
        error = pprof_profile_add(&more[i]);
        added += error == 0;
    }
    assert_int_equal(error, -ENOSPC);
    assert_int_equal(added + 1, CUSTOM_MOST);
}
