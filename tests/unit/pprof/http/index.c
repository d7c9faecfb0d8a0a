// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/index.c"

#include <stdio.h>

static int64_t seven(void *context) {
    (void)context;
    return 7;
}

static const struct source made = {.name = "made", .description = "For this test.", .count = seven};

static char *page;

static int setup_all(void **state) {
    (void)state;
    if (source_add(&made) != STATUS_OK) return -1;
    struct answer answer = {0};
    endpoint_answer_index(&answer);
    if (answer.status != 200) return -1;
    page = strndup((const char *)answer.body.data, answer.body.len);
    answer_done(&answer);
    return 0;
}

static int teardown_all(void **state) {
    (void)state;
    free(page);
    return 0;
}

static bool has_row(const char *name, int64_t count) {
    char row[256];
    snprintf(row, sizeof row, "<tr><td>%" PRId64 "</td><td><a href='%s?debug=1'>%s</a></td></tr>\n",
             count, name, name);
    return strstr(page, row) != NULL;
}

// Would catch: a name in the table of endpoints that the page forgets, or a dead link.
static void test_index__it_lists_exactly_what_has_a_description(void **state) {
    (void)state;
    size_t listed = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        bool is_listed = endpoints[i].description != NULL;
        assert_int_equal(has_row(endpoints[i].name, 0), is_listed);
        listed += is_listed;
    }
    for (size_t i = 0; source_at(i) != NULL; i++) listed++;
    size_t rows = 0;
    for (const char *at = page; (at = strstr(at, "</a></td></tr>")) != NULL; at++) rows++;
    assert_int_equal(rows, listed);
    assert_null(strstr(page, "trace"));
}

static void test_index__a_source_is_listed_with_its_count_and_words(void **state) {
    (void)state;
    assert_true(has_row("made", 7));
    assert_non_null(strstr(page, "<li><div class=profile-name>made: </div> For this test.</li>\n"));
}

static void test_index__rows_are_sorted_by_name(void **state) {
    (void)state;
    char last[64] = "";
    for (const char *at = page; (at = strstr(at, "<a href='")) != NULL;) {
        at += strlen("<a href='");
        char name[64] = {0};
        memcpy(name, at, strcspn(at, "?'"));
        assert_true(strcmp(last, name) < 0);
        memcpy(last, name, sizeof last);
    }
    assert_string_equal(last, "symbol");
}

static void test_index__its_head_is_go_s(void **state) {
    (void)state;
    assert_non_null(strstr(page, "<title>/debug/pprof/</title>"));
    assert_non_null(strstr(page, "<thead><tr><td>Count</td><td>Profile</td></tr></thead>"));
}

// Would catch: something inline, which the page's own policy forbids.
static void test_index__nothing_is_inline_and_the_viewer_is_inert(void **state) {
    (void)state;
    static const char *const forbidden[] = {"<style", " style=", " onclick", "javascript:", "//"};
    for (size_t i = 0; i < COUNT_OF(forbidden); i++) assert_null(strstr(page, forbidden[i]));
    assert_non_null(strstr(page, "<script type=\"module\" src=\"page/main.mjs\"></script>"));
    const char *viewer = strstr(page, "<template id=\"view\">");
    assert_non_null(viewer);
    assert_non_null(strstr(viewer, "</template>\n</body>\n</html>\n"));
}
