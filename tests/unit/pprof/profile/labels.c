// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/labels.c"

#include <stdio.h>

static int setup(void **state) {
    (void)state;
    memset(sets, 0, sizeof sets);
    set_count = 0;
    return 0;
}

static struct label_set numbered_set(int number) {
    struct label_set set = {{{.key = "model"}, {.key = "route", .value = "r"}}};
    snprintf(set.labels[0].value, LABEL_VALUE_BYTES, "m%d", number);
    return set;
}

static void test_labels__equal_sets_have_one_number_and_others_another(void **state) {
    (void)state;
    struct label_set first = numbered_set(1);
    struct label_set second = numbered_set(2);
    struct label_set only_key = {{{.key = "model"}}};
    uint32_t one = labels_intern(&first);
    uint32_t two = labels_intern(&second);
    uint32_t three = labels_intern(&only_key);
    assert_int_not_equal(one, 0);
    assert_int_not_equal(one, two);
    assert_int_not_equal(two, three);
    assert_int_equal(labels_intern(&first), one);
    assert_int_equal(labels_intern(&second), two);
    assert_string_equal(labels_get(two)->labels[0].value, "m2");
    assert_string_equal(labels_get(two)->labels[1].key, "route");
}

static void test_labels__number_0_is_no_set(void **state) {
    (void)state;
    assert_null(labels_get(0));
}

// Would catch: a table that clients can grow, or that gives one client's value to another.
static void test_labels__what_does_not_fit_reads_other(void **state) {
    (void)state;
    for (int i = 1; i < LABEL_SETS_MOST; i++) {
        struct label_set set = numbered_set(i);
        assert_int_equal(labels_intern(&set), i);
    }
    for (int i = LABEL_SETS_MOST; i < LABEL_SETS_MOST + 100; i++) {
        struct label_set set = numbered_set(i);
        assert_int_equal(labels_intern(&set), LABEL_SETS_MOST);
    }
    const struct label_set *other = labels_get(LABEL_SETS_MOST);
    assert_string_equal(other->labels[0].key, "model");
    assert_string_equal(other->labels[0].value, "other");
    assert_string_equal(other->labels[1].value, "other");
    assert_string_equal(other->labels[2].key, "");
    for (int i = 1; i < LABEL_SETS_MOST; i++) {  // the others are still known
        struct label_set set = numbered_set(i);
        assert_int_equal(labels_intern(&set), i);
    }
}

static void *intern_many(void *ret_numbers) {
    uint32_t *numbers = ret_numbers;
    for (int i = 0; i < 100; i++) {
        struct label_set set = numbered_set(i);
        numbers[i] = labels_intern(&set);
    }
    return NULL;
}

static void test_labels__threads_that_intern_at_once_agree(void **state) {
    (void)state;
    static uint32_t numbers[4][100];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, intern_many, numbers[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 1; i < 4; i++) assert_memory_equal(numbers[i], numbers[0], sizeof numbers[0]);
    assert_int_equal(set_count, 100);
}
