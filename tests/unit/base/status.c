// SPDX-License-Identifier: Apache-2.0
#include "base/status.c"

#include <string.h>

// Would catch: a row added to the table without words, or two rows with the same ones.
static void test_status__each_has_its_own_sentence(void **state) {
    (void)state;
#define ROW(name, code, sentence) {name, #name},
    static const struct {
        enum status status;
        const char *name;
    } rows[] = { STATUS_TABLE(ROW) };
#undef ROW
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *sentence = status_sentence(rows[i].status);
        assert_true(strlen(sentence) > 3);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(sentence, status_sentence(rows[k].status));
            assert_int_not_equal(rows[i].status, rows[k].status);
        }
    }
}

static void test_status__an_unknown_one_has_a_sentence_too(void **state) {
    (void)state;
    assert_string_equal(status_sentence((enum status)12345), "an unknown status");
}

// Callers that say "no error" by 0 rely on it.
static void test_status__good_is_zero_and_ranges_mean_something(void **state) {
    (void)state;
    assert_int_equal(STATUS_OK, 0);
    assert_in_range(STATUS_MALFORMED, 1, 99);
    assert_in_range(STATUS_NO_MEMORY, 100, 199);
    assert_in_range(STATUS_INTERNAL, 200, 299);
}
