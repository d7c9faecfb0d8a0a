// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/folded.c"

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
static void add(const char *leaf, const char *root, const char *label_state, int64_t first,
                int64_t second) {
    const char *const names[] = {leaf, root};
    const struct sample_key key = {.addresses = (const uintptr_t *)names,
                                   .depth = leaf == NULL   ? 0
                                            : root == NULL ? 1
                                                           : 2,
                                   .has_names = true,
                                   .state = label_state};
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){first, second}),
                     STATUS_OK);
}

static const char *write_value(size_t value) {
    const struct profile profile = {.samples = &store};
    out.len = 0;
    assert_int_equal(folded_write(&profile, value, &out), STATUS_OK);
    assert_int_equal(buffer_append_byte(&out, '\0'), STATUS_OK);
    return (const char *)out.data;
}

static void test_folded__the_root_comes_first_and_the_asked_value_last(void **state) {
    (void)state;
    add("leaf", "root", NULL, 3, 70);
    assert_string_equal(write_value(0), "root;leaf 3\n");
    assert_string_equal(write_value(1), "root;leaf 70\n");
}

// Would catch: a line for each label set, which readers that do not add up would draw twice.
static void test_folded__stacks_that_read_the_same_are_one_line(void **state) {
    (void)state;
    add("leaf", "root", "running", 3, 0);
    add("leaf", "root", "waiting", 4, 0);
    add("other", "root", NULL, 5, 0);
    assert_string_equal(write_value(0), "root;leaf 7\nroot;other 5\n");
}

static void test_folded__what_has_nothing_of_the_value_is_left_out(void **state) {
    (void)state;
    add("leaf", "root", NULL, 0, 1);
    assert_string_equal(write_value(0), "");
    assert_string_equal(write_value(1), "root;leaf 1\n");
}

static void test_folded__a_difference_may_be_negative(void **state) {
    (void)state;
    add("leaf", NULL, NULL, -3, 0);
    assert_string_equal(write_value(0), "leaf -3\n");
}

static void test_folded__a_name_cannot_end_its_frame_or_line(void **state) {
    (void)state;
    add("a;b\nc", "root", NULL, 1, 0);
    assert_string_equal(write_value(0), "root;a:b c 1\n");
}

static void test_folded__a_sample_without_frames_says_so(void **state) {
    (void)state;
    add(NULL, NULL, NULL, 2, 0);
    assert_string_equal(write_value(0), "(no stack) 2\n");
}

static void test_folded__an_empty_profile_is_an_empty_text(void **state) {
    (void)state;
    assert_string_equal(write_value(0), "");
}

static void test_folded__the_limit_of_the_answer_holds(void **state) {
    (void)state;
    add("leaf", "root", NULL, 1, 0);
    const struct profile profile = {.samples = &store};
    out.limit = 5;
    assert_int_not_equal(folded_write(&profile, 0, &out), STATUS_OK);
}
