// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/labels.c"

#include <stdio.h>

static int setup(void **state) {
    (void)state;
    memset(sets, 0, sizeof sets);
    memset(steps, 0, sizeof steps);
    set_count = 0;
    step_count = 0;
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

static uint32_t add(uint32_t number, const char *key, const char *value) {
    return labels_add(number, key, value, strlen(value), true);
}

static uint32_t claim(uint32_t number, const char *key, const char *value) {
    return labels_add(number, key, value, strlen(value), false);
}

static void test_labels__a_set_grows_label_by_label(void **state) {
    (void)state;
    uint32_t chat = add(0, "operation", "chat");
    uint32_t both = add(chat, "model", "m");
    assert_int_equal(add(0, "operation", "chat"), chat);
    assert_int_equal(add(chat, "model", "m"), both);
    assert_int_equal(add(add(0, "model", "m"), "operation", "chat"), both);  // in any order
    assert_int_equal(add(add(chat, "model", "n"), "model", "m"), both);      // another value
    assert_string_equal(labels_get(both)->labels[0].value, "m");
    assert_string_equal(labels_get(both)->labels[1].value, "chat");
    assert_string_equal(labels_get(both)->labels[2].key, "");
    assert_string_equal(labels_get(chat)->labels[1].key, "");
    // A key is known by where it is, but what it says counts.
    static const char model[] = "model";
    assert_int_equal(add(chat, model, "m"), both);
}

// Would catch: a comparison that stops early, a key taken for a value.
static void test_labels__labels_that_differ_anywhere_are_others(void **state) {
    (void)state;
    char value[LABEL_VALUE_BYTES] = "";
    memset(value, 'v', sizeof value - 1);
    uint32_t first = add(0, "k", value);
    for (size_t i = 0; i < sizeof value - 1; i += 7) {
        value[i] = 'w';
        assert_int_not_equal(add(0, "k", value), first);
        value[i] = 'v';
    }
    assert_int_not_equal(add(0, "l", value), first);
    assert_int_equal(labels_add(0, "k", value, sizeof value - 1, true), first);
    value[sizeof value - 2] = '\0';
    assert_int_not_equal(add(0, "k", value), first);
    value[sizeof value - 2] = 'v';
    assert_int_equal(add(0, "k", value), first);
    assert_int_not_equal(add(0, "a", "b"), add(0, "b", "a"));
    assert_int_not_equal(add(1, "x", "y"), add(2, "x", "y"));
}

// Would catch: a profile that readers of protobuf refuse, because half a character is in it.
static void test_labels__a_value_is_cut_between_characters(void **state) {
    (void)state;
    char value[80] = "";
    for (int i = 0; i < 25; i++) memcpy(value + 1 + 3 * i, "模", 3);
    value[0] = 'a';
    assert_int_equal(strlen(labels_get(add(0, "k", value))->labels[0].value), 61);
    assert_int_equal(strlen(labels_get(add(0, "k", value + 1))->labels[0].value), 63);
}

static void test_labels__one_too_many_is_left_out(void **state) {
    (void)state;
    static const char *const keys[] = {"b", "d", "a", "c"};
    uint32_t full = 0;
    for (int i = 0; i < LABELS_MOST; i++) full = add(full, keys[i], "1");
    assert_int_equal(add(full, "bb", "2"), full);
    assert_int_equal(add(full, "z", "2"), full);
    assert_int_not_equal(add(full, "c", "2"), full);
    assert_string_equal(labels_get(add(full, "c", "2"))->labels[2].value, "2");
}

static const char *value_of(uint32_t number, const char *key) {
    const struct label *labels = labels_get(number)->labels;
    for (int i = 0; i < LABELS_MOST; i++) {
        if (strcmp(labels[i].key, key) == 0) return labels[i].value;
    }
    return NULL;
}

// Would catch: clients that invent names and so take the names of all others away for good.
static void test_labels__claims_leave_room_for_what_is_known(void **state) {
    (void)state;
    char text[16];
    uint32_t chat = add(0, "operation", "chat"), early = claim(chat, "model", "early");
    for (int i = 0; i < 100000; i++) {
        snprintf(text, sizeof text, "m%d", i);
        claim(chat, "model", text);
    }
    assert_int_equal(set_count, CLAIMED_SETS_MOST + 1);
    uint32_t other = claim(chat, "model", "late");
    assert_string_equal(value_of(other, "model"), "other");
    assert_string_equal(value_of(other, "operation"), "chat");
    assert_string_equal(value_of(add(other, "route", "r"), "route"), "r");
    assert_int_equal(claim(chat, "model", "early"), early);
    // What was served is told apart from then on, also where it is only claimed again.
    uint32_t late = add(other, "model", "late");
    assert_string_equal(value_of(late, "model"), "late");
    assert_int_equal(claim(chat, "model", "late"), late);
    assert_int_equal(claim(other, "model", "late"), late);
}

static void test_labels__what_is_known_is_bounded_too(void **state) {
    (void)state;
    char text[16];
    uint32_t chat = add(0, "operation", "chat");
    for (int i = 0; i < 100000; i++) {
        snprintf(text, sizeof text, "m%d", i);
        add(chat, "model", text);
    }
    assert_int_equal(set_count, KNOWN_SETS_MOST + 1);
    assert_in_range(step_count, 1, STEPS_MOST);
    assert_string_equal(value_of(add(chat, "model", "m99999"), "model"), "other");
    uint32_t full = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "k%d", i);
        full = add(0, text, "v");  // one place: no step, a set of its own each time
    }
    assert_int_equal(full, LABEL_SETS_MOST);
    assert_int_equal(set_count, LABEL_SETS_MOST);
    assert_int_equal(add(LABEL_SETS_MOST, "route", "r"), LABEL_SETS_MOST);
    assert_string_equal(labels_get(LABEL_SETS_MOST)->labels[0].value, "other");
}

static void *add_many(void *ret_numbers) {
    uint32_t *numbers = ret_numbers;
    for (int round = 0; round < 100; round++) {
        char text[16];
        for (int i = 0; i < 100; i++) {
            snprintf(text, sizeof text, "m%d", i);
            numbers[i] = add(0, "model", text);
        }
    }
    return NULL;
}

static void test_labels__threads_that_add_at_once_agree(void **state) {
    (void)state;
    static uint32_t numbers[4][100];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, add_many, numbers[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 1; i < 4; i++) assert_memory_equal(numbers[i], numbers[0], sizeof numbers[0]);
    assert_int_equal(set_count, 100);
    assert_int_equal(step_count, 100);
}
