// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/token.c"

#include <stdlib.h>
#include <sys/stat.h>

static char name[TOKEN_NAME_BYTES];
static char reason[TOKEN_REASON_BYTES];
static struct fault fault;

static int setup(void **state) {
    (void)state;
    memset(name, 0, sizeof name);
    fault = (struct fault){0};
    return 0;
}

static enum status find(const char *text, const char *secret) {
    return token_find(bytes_of_text(text), bytes_of_text(secret), name, &fault);
}

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbb"
static const char two[] = "\n ci:" A "\r\n\n" B "\n";

static void test_token__any_of_the_file_is_found_by_its_name(void **state) {
    (void)state;
    assert_int_equal(find(two, A), STATUS_OK);
    assert_string_equal(name, "ci");
    assert_int_equal(find(two, B), STATUS_OK);
    assert_string_equal(name, "line-4");
    assert_int_equal(find(A, A), STATUS_OK);  // without the newline
    assert_string_equal(name, "line-1");
}

// Would catch: a comparison of the shorter one's length, or of what stands behind a NUL.
static void test_token__nothing_else_is_found(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",    "a", "aaaaaaaaaaaaaaa",  A "a",    "ci:" A, A "\n",
        " " A, A B, "aaaaaaaaaaaaaaab", "line-4", "ci",    A "\r",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(find(two, wrong[i]), STATUS_NOT_FOUND);
        assert_string_equal(name, "");
    }
    static const char with_nul[] = A "\0";
    assert_int_equal(token_find(bytes_of_text(two), bytes_of(with_nul, 17), name, &fault),
                     STATUS_NOT_FOUND);
    char long_one[2 * TOKEN_BYTES_MOST + 1] = {0};
    memset(long_one, 'a', sizeof long_one - 1);
    assert_int_equal(find(two, long_one), STATUS_NOT_FOUND);
}

// Would catch: a list of which the good half counts.
static void test_token__a_bad_line_spoils_the_whole_file(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t line;
    } rows[] = {
        {A "\nshort\n", 2},
        {A "\n:" A "\n", 2},
        {A "\na b:" B "\n", 2},
        {A "\n" A " " B, 2},
        {"ci:ci:" A, 1},
        {A "=\n", 1},
        {A "/\n", 1},
        {A "\x80\n", 1},
        {"# a comment, and it is long enough\n" A, 1},
        {"a-name-that-is-longer-than-any-that-is-allowed:" A, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (find(rows[i].text, A) != STATUS_MALFORMED) print_error("%s\n", rows[i].text);
        assert_int_equal(find(rows[i].text, A), STATUS_MALFORMED);
        assert_int_equal(fault.offset, rows[i].line);
    }
    char long_one[TOKEN_BYTES_MOST + 2] = {0};
    memset(long_one, 'a', TOKEN_BYTES_MOST);
    assert_int_equal(find(long_one, long_one), STATUS_OK);
    long_one[TOKEN_BYTES_MOST] = 'a';
    assert_int_equal(find(long_one, long_one), STATUS_MALFORMED);
}

static void test_token__a_file_without_any_lets_nobody_in(void **state) {
    (void)state;
    assert_int_equal(find("", ""), STATUS_TRUNCATED);
    assert_int_equal(find("\n \r\n\t\n", ""), STATUS_TRUNCATED);
}

static char folder[] = "/tmp/token-XXXXXX";
static char path[64], other[64], link_path[64], data[64];

static void write_file(const char *where, const char *text) {
    FILE *file = fopen(where, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static enum status find_in_file(const char *secret) {
    return token_find_in_file(link_path, bytes_of_text(secret), name, reason);
}

// As the kubelet changes a mounted Secret: FILE -> ..data/FILE, ..data -> a new folder.
static void test_token__a_swapped_link_counts_at_once(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/1", folder);
    snprintf(other, sizeof other, "%s/2", folder);
    snprintf(data, sizeof data, "%s/..data", folder);
    snprintf(link_path, sizeof link_path, "%s/token", folder);
    write_file(path, A "\n");
    write_file(other, B "\n");
    assert_int_equal(symlink("1", data), 0);
    assert_int_equal(symlink("..data", link_path), 0);
    assert_int_equal(find_in_file(A), STATUS_OK);
    assert_int_equal(find_in_file(B), STATUS_NOT_FOUND);
    char next[80];
    snprintf(next, sizeof next, "%s.tmp", data);
    assert_int_equal(symlink("2", next), 0);
    assert_int_equal(rename(next, data), 0);
    assert_int_equal(find_in_file(A), STATUS_NOT_FOUND);
    assert_int_equal(find_in_file(B), STATUS_OK);
    // And without it.
    unlink(data);
    assert_int_equal(find_in_file(B), STATUS_SYSTEM);
    assert_string_equal(reason, "No such file or directory");
    write_file(data, "");
    assert_int_equal(find_in_file(B), STATUS_TRUNCATED);
    assert_non_null(strstr(reason, "no token"));
    write_file(data, "ci:" B "\nsecretish\n");
    assert_int_equal(find_in_file(B), STATUS_MALFORMED);
    assert_non_null(strstr(reason, "line 2: "));
    assert_null(strstr(reason, "secretish"));
    unlink(data);
    assert_int_equal(mkdir(data, 0700), 0);
    assert_int_equal(find_in_file(B), STATUS_SYSTEM);
    rmdir(data);
    static char large[FILE_BYTES_MOST + 2];
    memset(large, '\n', sizeof large - 1);
    write_file(data, large);
    assert_int_equal(find_in_file(B), STATUS_TOO_LARGE);
    unlink(data);
    unlink(link_path);
    unlink(path);
    unlink(other);
    rmdir(folder);
}
