// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/form.c"

#include <stdio.h>

static struct buffer out;

static int setup(void **state) {
    (void)state;
    out = (struct buffer){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buffer_done(&out);
    return 0;
}

static void assert_out(struct bytes expected, const char *input) {
    if (!bytes_equal(buffer_bytes(&out), expected)) {
        print_error("\"%s\" gave \"%.*s\"\n", input, (int)out.len, (const char *)out.data);
    }
    assert_true(bytes_equal(buffer_bytes(&out), expected));
    out.len = 0;
}

// What Go's http.cleanPath makes of each: path.Clean, with the slash at the end put back.
static void test_form__paths_are_cleaned_as_gos_mux_does(void **state) {
    (void)state;
    static const struct {
        const char *path, *clean;
    } rows[] = {
        {"", "/"},
        {"/", "/"},
        {"//", "/"},
        {"///", "/"},
        {"/.", "/"},
        {"/./", "/"},
        {"/..", "/"},
        {"/../", "/"},
        {"/../..", "/"},
        {"/a", "/a"},
        {"/a/", "/a/"},
        {"a", "/a"},
        {"a/b", "/a/b"},
        {".", "/"},
        {"..", "/"},
        {"//a", "/a"},
        {"/a//b", "/a/b"},
        {"/a//", "/a/"},
        {"/a/.", "/a"},
        {"/a/./", "/a/"},
        {"/a/./b", "/a/b"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a"},
        {"/a/b/../", "/a/"},
        {"/a/b/../c", "/a/c"},
        {"/a/b/../../..", "/"},
        {"/../a", "/a"},
        {"/../../a/b", "/a/b"},
        {"/a/b/c/../../d/", "/a/d/"},
        {"/...", "/..."},
        {"/a/.b/..c", "/a/.b/..c"},
        {"/a/b./c..", "/a/b./c.."},
        {"/a/%2e%2e/b", "/a/%2e%2e/b"},
        {"//debug/../debug//pprof/./heap", "/debug/pprof/heap"},
        {"/debug/pprof/", "/debug/pprof/"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(form_clean_path(bytes_of_text(rows[i].path), &out), STATUS_OK);
        assert_out(bytes_of_text(rows[i].clean), rows[i].path);
    }
}

// Would catch: `..` that eats what stood in the buffer before.
static void test_form__a_clean_path_is_appended(void **state) {
    (void)state;
    assert_int_equal(buffer_append_text(&out, "x/y"), STATUS_OK);
    assert_int_equal(form_clean_path(BYTES_LITERAL("/../../a/.."), &out), STATUS_OK);
    assert_out(BYTES_LITERAL("x/y/"), "/../../a/..");
}

// A clean path stays as it is, or a redirect would lead to a redirect for ever.
static void test_form__cleaning_twice_changes_nothing(void **state) {
    (void)state;
    static const char letters[] = "/.a";
    char path[8] = {0};
    for (int number = 0; number < 3 * 3 * 3 * 3 * 3 * 3 * 3; number++) {
        int rest = number;
        for (int i = 0; i < 7; i++, rest /= 3) path[i] = letters[rest % 3];
        struct buffer again = {0};
        assert_int_equal(form_clean_path(bytes_of_text(path), &out), STATUS_OK);
        assert_int_equal(form_clean_path(buffer_bytes(&out), &again), STATUS_OK);
        assert_out(buffer_bytes(&again), path);
        buffer_done(&again);
    }
}

static void test_form__path_escapes_are_decoded_and_plus_is_a_plus(void **state) {
    (void)state;
    static const struct {
        const char *escaped;
        struct bytes decoded;
    } rows[] = {
        {"", {NULL, 0}},
        {"plain", BYTES_LITERAL("plain")},
        {"he%61p", BYTES_LITERAL("heap")},
        {"a+b", BYTES_LITERAL("a+b")},
        {"%2F%2f", BYTES_LITERAL("//")},
        {"%00", BYTES_LITERAL("\0")},
        {"%ff%FF%Ff", BYTES_LITERAL("\xff\xff\xff")},
        {"%25%32%35", BYTES_LITERAL("%25")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(form_decode_path(bytes_of_text(rows[i].escaped), &out), STATUS_OK);
        assert_out(rows[i].decoded, rows[i].escaped);
    }
    static const char *const bad[] = {"%", "a%", "%1", "%zz", "%1z", "%z1", "%%41", "% 1", "%-1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        out.len = 0;
        assert_int_equal(form_decode_path(bytes_of_text(bad[i]), &out), STATUS_MALFORMED);
    }
}

static void test_form__a_target_is_split_at_the_first_question_mark(void **state) {
    (void)state;
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        {"/a/b", "/a/b", ""},
        {"/a?", "/a", ""},
        {"/a?b=c", "/a", "b=c"},
        {"/a?b?c", "/a", "b?c"},
        {"?x", "", "x"},
        {"", "", ""},
        {"*", "*", ""},
        {"http://localhost/debug/pprof/?x=1", "/debug/pprof/", "x=1"},
        {"HTTP://[::1]:6060/a", "/a", ""},
        {"http://localhost", "/", ""},
        {"http://", "/", ""},
        {"http:/a", "http:/a", ""},
        {"https://a/b", "https://a/b", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bytes path, query;
        form_split_target(bytes_of_text(rows[i].target), &path, &query);
        if (!bytes_equal(path, bytes_of_text(rows[i].path))) print_error("%s\n", rows[i].target);
        assert_true(bytes_equal(path, bytes_of_text(rows[i].path)));
        assert_true(bytes_equal(query, bytes_of_text(rows[i].query)));
    }
}

// NULL: not found.
static void test_form__the_first_good_pair_of_a_key_wins(void **state) {
    (void)state;
    static const struct {
        const char *pairs, *value;
    } rows[] = {
        {"", NULL},
        {"&", NULL},
        {"x=1", NULL},
        {"seconds=5", "5"},
        {"seconds", ""},
        {"seconds=", ""},
        {"seconds=1&seconds=2", "1"},
        {"seconds=&seconds=2", ""},
        {"a=b&&seconds=3&", "3"},
        {"Seconds=1", NULL},
        {"seconds =1", NULL},
        {"seconds=%31", "1"},
        {"s%65conds=1", "1"},
        {"seconds=1+2", "1 2"},
        {"seconds=%2B1", "+1"},
        {"seconds=1=2", "1=2"},
        {"=seconds", NULL},
        {"seconds=%zz", NULL},
        {"seconds=%zz&seconds=4", "4"},
        {"seconds=%4&seconds=4", "4"},
        {"%zz=1&seconds=4", "4"},
        {"seconds=1;seconds=2", NULL},
        {"seconds=1;&seconds=2", "2"},
        {";seconds=1", NULL},
        {"a=1;b=2&seconds=3", "3"},
        {"seconds=%3B", ";"},
        {"seconds=%26&seconds=1", "&"},
        {"xseconds=1", NULL},
        {"second=1&secondss=2", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bytes pairs = bytes_of_text(rows[i].pairs);
        enum status status = form_find(pairs, BYTES_LITERAL("seconds"), &out);
        if ((status == STATUS_OK) != (rows[i].value != NULL)) print_error("%s\n", rows[i].pairs);
        assert_int_equal(status, rows[i].value != NULL ? STATUS_OK : STATUS_NOT_FOUND);
        assert_out(bytes_of_text(rows[i].value != NULL ? rows[i].value : ""), rows[i].pairs);
    }
}

// Would catch: half a value, or the key, left behind in front of what the caller has.
static void test_form__a_value_is_appended_and_nothing_else(void **state) {
    (void)state;
    assert_int_equal(buffer_append_text(&out, "kept"), STATUS_OK);
    struct bytes pairs = BYTES_LITERAL("key=ab%zz&key=%z&other=1&key=v");
    assert_int_equal(form_find(pairs, BYTES_LITERAL("nokey"), &out), STATUS_NOT_FOUND);
    assert_int_equal(form_find(pairs, BYTES_LITERAL("key"), &out), STATUS_OK);
    assert_out(BYTES_LITERAL("keptv"), "key");
    assert_int_equal(form_find(BYTES_LITERAL("=v"), BYTES_EMPTY, &out), STATUS_OK);
    assert_out(BYTES_LITERAL("v"), "=v");
}

// strconv.ParseInt(text, 10, 64), which Atoi is on this machine.
static void test_form__whole_numbers_are_read_as_go_s_atoi(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum status status;
        int64_t number;
    } rows[] = {
        {"0", STATUS_OK, 0},
        {"7", STATUS_OK, 7},
        {"007", STATUS_OK, 7},
        {"+7", STATUS_OK, 7},
        {"-7", STATUS_OK, -7},
        {"-0", STATUS_OK, 0},
        {"9223372036854775807", STATUS_OK, INT64_MAX},
        {"-9223372036854775808", STATUS_OK, INT64_MIN},
        {"9223372036854775808", STATUS_OUT_OF_RANGE, 0},
        {"-9223372036854775809", STATUS_OUT_OF_RANGE, 0},
        {"18446744073709551615", STATUS_OUT_OF_RANGE, 0},
        {"18446744073709551616", STATUS_OUT_OF_RANGE, 0},
        {"99999999999999999999", STATUS_OUT_OF_RANGE, 0},
        {"-99999999999999999999", STATUS_OUT_OF_RANGE, 0},
        {"000000000000000000000000000001", STATUS_OK, 1},
        {"", STATUS_MALFORMED, 0},
        {"-", STATUS_MALFORMED, 0},
        {"+", STATUS_MALFORMED, 0},
        {"--1", STATUS_MALFORMED, 0},
        {"+-1", STATUS_MALFORMED, 0},
        {"x", STATUS_MALFORMED, 0},
        {"1x", STATUS_MALFORMED, 0},
        {"0x1", STATUS_MALFORMED, 0},
        {"1.5", STATUS_MALFORMED, 0},
        {"1e0", STATUS_MALFORMED, 0},
        {" 1", STATUS_MALFORMED, 0},
        {"1 ", STATUS_MALFORMED, 0},
        {"1_000", STATUS_MALFORMED, 0},
        {"a", STATUS_MALFORMED, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t number = 12345;
        enum status status = form_read_int(bytes_of_text(rows[i].text), &number);
        if (status != rows[i].status) print_error("%s\n", rows[i].text);
        assert_int_equal(status, rows[i].status);
        assert_true(number == (status == STATUS_OK ? rows[i].number : 12345));
    }
    int64_t number;
    assert_int_equal(form_read_int(BYTES_LITERAL("1\0"), &number), STATUS_MALFORMED);
}

// strconv.ParseUint(text, 0, 64)
static void test_form__addresses_are_read_as_go_s_parseuint_of_base_0(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum status status;
        uint64_t number;
    } rows[] = {
        {"0", STATUS_OK, 0},
        {"00", STATUS_OK, 0},
        {"10", STATUS_OK, 10},
        {"010", STATUS_OK, 8},
        {"0o17", STATUS_OK, 15},
        {"0O17", STATUS_OK, 15},
        {"0b101", STATUS_OK, 5},
        {"0B101", STATUS_OK, 5},
        {"0x1f", STATUS_OK, 31},
        {"0X1F", STATUS_OK, 31},
        {"0xffffffffffffffff", STATUS_OK, UINT64_MAX},
        {"18446744073709551615", STATUS_OK, UINT64_MAX},
        {"01777777777777777777777", STATUS_OK, UINT64_MAX},
        {"0x00000000000000000000000000001", STATUS_OK, 1},
        {"1_000", STATUS_OK, 1000},
        {"0x_1_f", STATUS_OK, 31},
        {"0_7", STATUS_OK, 7},
        {"0b_1", STATUS_OK, 1},
        {"0x10000000000000000", STATUS_OUT_OF_RANGE, 0},
        {"18446744073709551616", STATUS_OUT_OF_RANGE, 0},
        {"02000000000000000000000", STATUS_OUT_OF_RANGE, 0},
        {"", STATUS_MALFORMED, 0},
        {"0x", STATUS_MALFORMED, 0},
        {"0o", STATUS_MALFORMED, 0},
        {"0b", STATUS_MALFORMED, 0},
        {"08", STATUS_MALFORMED, 0},
        {"0b2", STATUS_MALFORMED, 0},
        {"0xg", STATUS_MALFORMED, 0},
        {"1f", STATUS_MALFORMED, 0},
        {"x1", STATUS_MALFORMED, 0},
        {"-1", STATUS_MALFORMED, 0},
        {"+1", STATUS_MALFORMED, 0},
        {"0x-1", STATUS_MALFORMED, 0},
        {"0x0x1", STATUS_MALFORMED, 0},
        {" 1", STATUS_MALFORMED, 0},
        {"1\n", STATUS_MALFORMED, 0},
        {"_1", STATUS_MALFORMED, 0},
        {"1_", STATUS_MALFORMED, 0},
        {"1__0", STATUS_MALFORMED, 0},
        {"0x__1", STATUS_MALFORMED, 0},
        {"0x1_", STATUS_MALFORMED, 0},
        {"0_", STATUS_MALFORMED, 0},
        {"0_x1", STATUS_MALFORMED, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t number = 12345;
        enum status status = form_read_address(bytes_of_text(rows[i].text), &number);
        if (status != rows[i].status) print_error("%s\n", rows[i].text);
        assert_int_equal(status, rows[i].status);
        assert_true(number == (status == STATUS_OK ? rows[i].number : 12345));
    }
}

static void test_form__a_buffer_that_is_full_is_told(void **state) {
    (void)state;
    out.limit = 3;
    assert_int_equal(form_decode_path(BYTES_LITERAL("abcd"), &out), STATUS_TOO_LARGE);
    out.len = 0;
    assert_int_equal(form_clean_path(BYTES_LITERAL("/abcd"), &out), STATUS_TOO_LARGE);
}

static void assert_authority(const char *target, const char *expected) {
    struct bytes found = BYTES_LITERAL("unchanged");
    form_find_authority(bytes_of_text(target), &found);
    assert_int_equal(found.len, strlen(expected));
    assert_memory_equal(found.data, expected, found.len);
}

static void test_form__the_authority_of_an_absolute_target_is_its_host(void **state) {
    (void)state;
    assert_authority("/a", "unchanged");
    assert_authority("*", "unchanged");
    assert_authority("http://a:1/b?c", "a:1");
    assert_authority("HTTP://a", "a");
    assert_authority("http://x:secret@a:1/", "a:1");
    assert_authority("http://x:y@z@a/", "a");
    assert_authority("http:///b", "");
    assert_authority("http://", "");
}
