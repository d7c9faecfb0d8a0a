// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/source.c"

static int setup(void **state) {
    (void)state;
    source_count = 0;
    return 0;
}

static void test_source__they_are_sorted_by_name_whatever_the_order(void **state) {
    (void)state;
    static const struct source all[] = {{.name = "mutex"},
                                        {.name = "allocs"},
                                        {.name = "heap"},
                                        {.name = "threadcreate"},
                                        {.name = "block"}};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_equal(source_add(&all[i]), STATUS_OK);
    }
    static const char *const expected[] = {"allocs", "block", "heap", "mutex", "threadcreate"};
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        const struct source *source = source_find(bytes_of_text(expected[i]));
        assert_non_null(source);
        assert_ptr_equal(source_at(i), source);
    }
    assert_null(source_at(COUNT_OF(expected)));
    assert_null(source_at(SIZE_MAX));
}

static void test_source__only_the_whole_name_is_found(void **state) {
    (void)state;
    static const struct source heap = {.name = "heap"};
    assert_int_equal(source_add(&heap), STATUS_OK);
    static const char *const other[] = {"", "hea", "heaps", "HEAP", "heap/"};
    for (size_t i = 0; i < COUNT_OF(other); i++) assert_null(source_find(bytes_of_text(other[i])));
    assert_null(source_find(bytes_of("heap\0", 5)));
}

static void test_source__a_name_is_taken_once(void **state) {
    (void)state;
    static const struct source first = {.name = "heap"};
    static const struct source second = {.name = "heap"};
    assert_int_equal(source_add(&first), STATUS_OK);
    assert_int_equal(source_add(&second), STATUS_BUSY);
    assert_ptr_equal(source_find(BYTES_LITERAL("heap")), &first);
    assert_null(source_at(1));
}

static void test_source__the_list_has_an_end(void **state) {
    (void)state;
    static struct source all[SOURCES_MOST + 1];
    static char names[SOURCES_MOST + 1][2];
    for (size_t i = 0; i <= SOURCES_MOST; i++) {
        names[i][0] = (char)('A' + i);
        all[i].name = names[i];
        enum status expected = i < SOURCES_MOST ? STATUS_OK : STATUS_TOO_LARGE;
        assert_int_equal(source_add(&all[i]), expected);
    }
}
