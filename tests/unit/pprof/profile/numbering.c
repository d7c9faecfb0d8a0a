// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/numbering.c"

#include <stdio.h>

static uint32_t find(struct numbering *numbering, struct bytes key) {
    uint32_t number = UINT32_MAX;
    assert_int_equal(numbering_find(numbering, key, &number), STATUS_OK);
    return number;
}

static uint32_t find_text(struct numbering *numbering, const char *text) {
    return find(numbering, bytes_of_text(text));
}

static void test_numbering__numbers_follow_the_first_appearance(void **state) {
    (void)state;
    struct numbering numbering = {0};
    assert_int_equal(find_text(&numbering, ""), 0);
    assert_int_equal(find_text(&numbering, "b"), 1);
    assert_int_equal(find_text(&numbering, "a"), 2);
    assert_int_equal(find_text(&numbering, "b"), 1);
    assert_int_equal(find_text(&numbering, ""), 0);
    assert_int_equal(numbering.count, 3);
    assert_true(bytes_equal(numbering_key(&numbering, 2), BYTES_LITERAL("a")));
    assert_int_equal(numbering_key(&numbering, 0).len, 0);
    numbering_done(&numbering);
}

// Would catch: a comparison of texts instead of bytes.
static void test_numbering__keys_are_bytes_of_any_value(void **state) {
    (void)state;
    struct numbering numbering = {0};
    static const char with_nul[] = {'a', 0, 'b'};
    static const char other[] = {'a', 0, 'c'};
    assert_int_equal(find(&numbering, bytes_of(with_nul, 3)), 0);
    assert_int_equal(find(&numbering, bytes_of(other, 3)), 1);
    assert_int_equal(find(&numbering, bytes_of(with_nul, 1)), 2);
    assert_int_equal(find(&numbering, bytes_of(with_nul, 2)), 3);
    assert_int_equal(find(&numbering, bytes_of(with_nul, 3)), 0);
    numbering_done(&numbering);
}

static void test_numbering__keys_are_copied(void **state) {
    (void)state;
    struct numbering numbering = {0};
    char key[] = "abc";
    assert_int_equal(find_text(&numbering, key), 0);
    key[0] = 'x';
    assert_int_equal(find_text(&numbering, "abc"), 0);
    assert_int_equal(find_text(&numbering, key), 1);
    numbering_done(&numbering);
}

// Would catch: numbers that change, or keys lost, when the table grows.
static void test_numbering__twenty_thousand_keys_keep_their_numbers(void **state) {
    (void)state;
    struct numbering numbering = {0};
    char key[32];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 20000; i++) {
            snprintf(key, sizeof key, "function_%u", i);
            assert_int_equal(find_text(&numbering, key), i);
        }
    }
    assert_int_equal(numbering.count, 20000);
    for (uint32_t i = 0; i < numbering.count; i++) {
        snprintf(key, sizeof key, "function_%u", i);
        assert_true(bytes_equal(numbering_key(&numbering, i), bytes_of_text(key)));
    }
    numbering_done(&numbering);
}

static void test_numbering__at_the_limit_known_keys_are_still_found(void **state) {
    (void)state;
    struct numbering numbering = {.pool.limit_bytes = 256 << 10};
    uint32_t number = 0;
    uint64_t key = 0;
    while (numbering_find(&numbering, bytes_of(&key, sizeof key), &number) == STATUS_OK) {
        assert_int_equal(number, key);
        key++;
    }
    uint32_t known = numbering.count;
    assert_int_equal(known, key);
    assert_in_range(known, 192, 20000);
    number = 12345;
    assert_int_equal(numbering_find(&numbering, bytes_of(&key, sizeof key), &number),
                     STATUS_NO_MEMORY);
    assert_int_equal(number, 12345);
    for (key = 0; key < known; key++) {
        assert_int_equal(find(&numbering, bytes_of(&key, sizeof key)), key);
    }
    assert_int_equal(numbering.count, known);
    numbering_done(&numbering);
    numbering_done(&numbering);
}
