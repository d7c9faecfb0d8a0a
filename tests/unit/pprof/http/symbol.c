// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/symbol.c"

#include <stdio.h>

static NOINLINE void known_function(void) {
    __asm__ volatile("");
}

static struct answer answer;

static int teardown(void **state) {
    (void)state;
    answer_done(&answer);
    return 0;
}

// The answer to `text` in the query, or by POST in the body.
static const char *ask(const char *method, const char *text) {
    answer_done(&answer);
    answer = (struct answer){0};
    bool is_post = strcmp(method, "POST") == 0;
    struct bytes words = bytes_of_text(text);
    struct bytes other = BYTES_LITERAL("0x1+0x2");
    struct request request = {
        .method = method, .query = is_post ? other : words, .body = is_post ? words : other};
    endpoint_answer_symbol(&request, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
    assert_int_equal(buffer_append_byte(&answer.body, '\0'), STATUS_OK);
    return (const char *)answer.body.data;
}

static void test_symbol__known_addresses_are_named_in_the_order_asked(void **state) {
    (void)state;
    uintptr_t known = (uintptr_t)known_function;
    uintptr_t other = (uintptr_t)endpoint_answer_symbol;
    char words[256];
    char expected[256];
    snprintf(words, sizeof words, "%#lx+%lu+0%lo+0X%lX", other, known, known, known);
    snprintf(expected, sizeof expected,
             "num_symbols: 1\n%#lx endpoint_answer_symbol\n%#lx known_function\n"
             "%#lx known_function\n%#lx known_function\n",
             other, known, known, known);
    assert_string_equal(ask("GET", words), expected);
    assert_string_equal(ask("POST", words), expected);
}

static void test_symbol__what_is_unknown_or_no_number_is_left_out(void **state) {
    (void)state;
    static const char *const words[] = {
        "",
        "+",
        "++",
        "0",
        "0x0",
        "x",
        "0x1",
        "0xffffffffffffffff",
        "0x1ffffffffffffffff",
        "-1",
        "pc=0x1",
        "%30x1",
        "0x1%2B0x2",
    };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        assert_string_equal(ask("GET", words[i]), "num_symbols: 1\n");
        assert_string_equal(ask("POST", words[i]), "num_symbols: 1\n");
    }
}

static void test_symbol__one_bad_word_spoils_no_other(void **state) {
    (void)state;
    uintptr_t known = (uintptr_t)known_function;
    char words[256];
    char expected[256];
    snprintf(expected, sizeof expected, "num_symbols: 1\n%#lx known_function\n", known);
    snprintf(words, sizeof words, "x+%#lx+", known);
    assert_string_equal(ask("POST", words), expected);
    // A newline is part of its word.
    snprintf(words, sizeof words, "%#lx+%#lx\n", known, known);
    assert_string_equal(ask("POST", words), expected);
}

// A word with zeros in front, `len` characters long, then another word.
static const char *ask_with_long_word(size_t len, bool is_last) {
    static char words[9000];
    memset(words, '0', sizeof words);
    words[1] = 'x';
    char digits[32];
    int count = snprintf(digits, sizeof digits, "%lx", (uintptr_t)known_function);
    memcpy(words + len - (size_t)count, digits, (size_t)count);
    snprintf(words + len, sizeof words - len, is_last ? "" : "+%s%s", "0x", digits);
    return ask("POST", words);
}

// Go reads words through a buffer of 4096 bytes.
static void test_symbol__a_word_that_fills_the_buffer_ends_the_answer(void **state) {
    (void)state;
    char line[64];
    char expected[256];
    snprintf(line, sizeof line, "%#lx known_function\n", (uintptr_t)known_function);
    snprintf(expected, sizeof expected, "num_symbols: 1\n%s%s", line, line);
    assert_string_equal(ask_with_long_word(4095, false), expected);
    snprintf(expected, sizeof expected, "num_symbols: 1\n%s", line);
    assert_string_equal(ask_with_long_word(4095, true), expected);
    // It is read as far as it fits, and nothing behind it.
    static const char full[] = "reading request: bufio: buffer full\n";
    snprintf(expected, sizeof expected, "num_symbols: 1\n%s%s", line, full);
    assert_string_equal(ask_with_long_word(4096, false), expected);
    assert_string_equal(ask_with_long_word(4096, true), expected);
    snprintf(expected, sizeof expected, "num_symbols: 1\n%s", full);
    assert_string_equal(ask_with_long_word(8192, false), expected);
}

static void test_symbol__too_many_names_are_refused(void **state) {
    (void)state;
    struct buffer words = {0};
    while (words.len < NAMES_BYTES_MOST) {
        assert_int_equal(buffer_append_format(&words, "%#lx+", (uintptr_t)known_function),
                         STATUS_OK);
    }
    struct request request = {.method = "POST", .body = buffer_bytes(&words)};
    answer_done(&answer);
    endpoint_answer_symbol(&request, &answer);
    buffer_done(&words);
    assert_int_equal(answer.status, 413);
    assert_int_equal(buffer_append_byte(&answer.body, '\0'), STATUS_OK);
    assert_string_equal((const char *)answer.body.data,
                        "the names of these addresses are over the limit of 8 MiB\n");
}
