// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/strict.c"

// The characters of RFC 9110 section 5.6.2, and no other byte.
static void test_strict__a_token_has_only_token_characters(void **state) {
    (void)state;
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; c++) {
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool is_expected = is_letter || (c != 0 && strchr(others, c) != NULL);
        uint8_t text[] = {'G', (uint8_t)c, 'T'};
        assert_int_equal(strict_is_token(bytes_of(text, 3)), is_expected);
        assert_int_equal(strict_is_token(bytes_of(text + 1, 1)), is_expected);
    }
    assert_false(strict_is_token(BYTES_EMPTY));
}

static bool is_refused(const char *const (*headers)[2]) {
    struct strict_headers seen = {0};
    for (; (*headers)[0] != NULL; headers++) {
        strict_add_header(&seen, bytes_of_text((*headers)[0]), bytes_of_text((*headers)[1]));
    }
    return seen.is_bad;
}

#define HEADERS(...) ((const char *const[][2]){__VA_ARGS__, {NULL, NULL}})

static void test_strict__usual_requests_pass(void **state) {
    (void)state;
    assert_false(is_refused(HEADERS({"Host", "localhost:6060"}, {"User-Agent", "Go (x)"},
                                    {"Content-Length", "5"}, {"Accept", "*/*"})));
    static const char *const hosts[] = {"", "a", "127.0.0.1", "[::1]:6060", "a_b-c.d~e", "%41"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        assert_false(is_refused(HEADERS({"hOsT", hosts[i]})));
    }
    assert_false(is_refused(HEADERS({"Accept", "a"}, {"Accept", "b"})));
}

static void test_strict__what_two_readers_could_understand_differently_does_not(void **state) {
    (void)state;
    assert_true(is_refused(HEADERS({"Host", "a"}, {"HOST", "a"})));
    assert_true(is_refused(HEADERS({"Content-Length", "1"}, {"content-length", "1"})));
    assert_true(is_refused(HEADERS({"X(Bad", "1"})));
    assert_true(is_refused(HEADERS({"", "1"})));
    assert_true(is_refused(HEADERS({"Host ", "a"}, {"Accept", "b"})));
    static const char *const hosts[] = {"a b",  "a/b", "a@b", "a?b",       "a#b",
                                        "a\\b", "a\"", "<a>", "a\xc3\xa9", "a\x01"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        assert_true(is_refused(HEADERS({"Host", hosts[i]})));
    }
    struct strict_headers seen = {0};
    strict_add_header(&seen, BYTES_LITERAL("Host"), BYTES_LITERAL("a\0b"));
    assert_true(seen.is_bad);
}
