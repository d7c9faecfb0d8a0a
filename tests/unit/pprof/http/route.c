// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/route.c"

#include <stdlib.h>

static struct answer answer;

static int setup(void **state) {
    (void)state;
    answer = (struct answer){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    answer_done(&answer);
    return 0;
}

static void ask(const char *method, const char *path, const char *query) {
    answer_done(&answer);
    answer = (struct answer){0};
    struct request request = {.method = method,
                              .path = bytes_of_text(path),
                              .query = bytes_of_text(query),
                              .client_socket = -1};
    endpoint_route(&request, &answer);
}

static void assert_body(const char *expected) {
    assert_int_equal(answer.body.len, strlen(expected));
    assert_memory_equal(answer.body.data, expected, answer.body.len);
}

static void assert_redirect(const char *method, const char *path, const char *query,
                            const char *location) {
    ask(method, path, query);
    if (answer.status != 307) print_error("%s %s?%s\n", method, path, query);
    assert_int_equal(answer.status, 307);
    assert_int_equal(answer.location.len, strlen(location));
    assert_memory_equal(answer.location.data, location, answer.location.len);
    assert_true(answer.is_plain);
    assert_false(answer.is_pprof_error);
}

static void test_route__the_folder_without_its_slash_is_redirected_with_its_query(void **state) {
    (void)state;
    assert_redirect("GET", "/debug/pprof", "", "/debug/pprof/");
    assert_body("<a href=\"/debug/pprof/\">Temporary Redirect</a>.\n\n");
    assert_string_equal(answer.content_type, "text/html; charset=utf-8");
    assert_redirect("GET", "/debug/pprof", "x=1", "/debug/pprof/?x=1");
    assert_redirect("GET", "/debug/pprof", "a=%zz&b=<\"'>", "/debug/pprof/?a=%zz&b=<\"'>");
    assert_body("<a href=\"/debug/pprof/?a=%zz&amp;b=&lt;&#34;&#39;&gt;\">Temporary Redirect</a>."
                "\n\n");
    assert_redirect("POST", "/debug/pprof", "x=1", "/debug/pprof/?x=1");
    assert_body("");
    assert_null(answer.content_type);
}

static void test_route__a_path_that_is_not_clean_is_redirected_to_the_clean_one(void **state) {
    (void)state;
    assert_redirect("GET", "//heap", "", "/heap");
    assert_redirect("GET", "/../pprof/heap", "debug=1", "/pprof/heap?debug=1");
    assert_redirect("GET", "/debug/pprof//cmdline", "", "/debug/pprof/cmdline");
    assert_redirect("GET", "/debug/pprof/./", "", "/debug/pprof/");
    assert_redirect("GET", "/debug/pprof/.", "", "/debug/pprof/");  // one step, not two
    assert_redirect("GET", "/debug//pprof", "", "/debug/pprof/");
    assert_redirect("GET", "/debug/pprof/..", "", "/debug");
    assert_redirect("DELETE", "/a/./b", "", "/a/b");
}

// Would catch: a redirect that leads to a redirect, or off this host.
static void test_route__a_redirect_leads_to_a_clean_path_on_this_host(void **state) {
    (void)state;
    static const char *const paths[] = {"//evil.example/", "///evil.example", "/..//evil.example/x",
                                        "/debug/pprof//x/../../../..//y/", "/.//debug//pprof/."};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        ask("GET", paths[i], "");
        assert_int_equal(answer.status, 307);
        assert_int_equal(answer.location.data[0], '/');
        assert_true(answer.location.len == 1 || answer.location.data[1] != '/');
        char again[256] = {0};
        memcpy(again, answer.location.data, answer.location.len);
        ask("GET", again, "");
        assert_int_not_equal(answer.status, 307);
    }
}

static void assert_unknown(const char *path, const char *query) {
    ask("GET", path, query);
    if (answer.status != 404) print_error("%s\n", path);
    assert_int_equal(answer.status, 404);
    assert_body("Unknown profile\n");
    assert_true(answer.is_pprof_error);
    assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
    assert_string_equal(answer.file_name, "");
}

static void test_route__unknown_names_are_404_before_any_look_at_the_query(void **state) {
    (void)state;
    static const char *const names[] = {
        "nosuch", "CMDLINE",       "cmdline/", "symbol/",    "profile/",
        "trace/", "cmdlin",        "cmdlinee", "cmdline%00", "%00",
        "a/b",    "goroutineleak", "%2f",      "cmdline%2F", "+",
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[64] = "/debug/pprof/";
        memcpy(path + strlen(path), names[i], strlen(names[i]) + 1);
        assert_unknown(path, "");
        assert_unknown(path, "seconds=x");
    }
    char *path = calloc(1, 20100);
    memcpy(path, ROOT, strlen(ROOT));
    memset(path + strlen(ROOT), 'x', 20000);
    assert_unknown(path, "");
    free(path);
}

static void test_route__names_are_decoded(void **state) {
    (void)state;
    ask("GET", "/debug/pprof/cmdlin%65", "");
    assert_int_equal(answer.status, 200);
    ask("GET", "/debug/pprof/%63%6d%64%6c%69%6e%65", "");
    assert_int_equal(answer.status, 200);
    ask("GET", "/debug/pprof/he%zz", "");
    assert_int_equal(answer.status, 400);
    assert_body("400 Bad Request");
    assert_true(answer.closes);
}

static void test_route__outside_the_folder_it_is_the_server_s_404(void **state) {
    (void)state;
    static const char *const paths[] = {"/",           "/debug",        "/debug/", "/debug/pprofx",
                                        "/debug/ppro", "/Debug/pprof/", "/heap",   "/metrics"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        ask("GET", paths[i], "");
        assert_int_equal(answer.status, 404);
        assert_body("404 page not found\n");
        assert_false(answer.is_pprof_error);
        assert_false(answer.is_plain);
    }
}

static void test_route__any_method_gets_the_index_and_the_endpoints(void **state) {
    (void)state;
    static const char *const methods[] = {"GET",   "HEAD",    "POST",  "PUT",     "DELETE",
                                          "PATCH", "OPTIONS", "TRACE", "CONNECT", "INVENTED"};
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        ask(methods[i], "/debug/pprof/", "anything=1");
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.content_type, "text/html; charset=utf-8");
        ask(methods[i], "/debug/pprof/cmdline", "");
        assert_int_equal(answer.status, 200);
    }
}

static void test_route__a_target_that_is_no_path_is_no_redirect(void **state) {
    (void)state;
    ask("OPTIONS", "*", "");
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.len, 0);
    ask("CONNECT", "localhost:443", "");
    assert_int_equal(answer.status, 404);
    static const char *const bad[] = {"", "*", "debug/pprof/cmdline", "https://a/b"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        ask("GET", bad[i], "");
        assert_int_equal(answer.status, 400);
    }
    ask("CONNECT", "/debug/pprof//cmdline", "");  // its path is left alone
    assert_int_equal(answer.status, 404);
}

static void test_route__there_is_no_trace_and_it_says_so_in_go_s_form(void **state) {
    (void)state;
    ask("GET", "/debug/pprof/trace", "seconds=1");
    assert_int_equal(answer.status, 500);
    assert_true(answer.is_pprof_error);
    assert_memory_equal(answer.body.data, "Could not enable tracing: ", 26);
    assert_int_equal(answer.body.data[answer.body.len - 1], '\n');
}

// The look-up takes the first; the page shows them in this order.
static void test_route__the_table_is_sorted_and_has_each_name_once(void **state) {
    (void)state;
    for (size_t i = 1; i < endpoint_count; i++) {
        assert_true(strcmp(endpoints[i - 1].name, endpoints[i].name) < 0);
    }
}

static size_t body_bytes_most(const char *method, const char *path, bool is_form) {
    return endpoint_body_bytes_most(method, bytes_of_text(path), is_form);
}

static void test_route__a_body_is_kept_only_for_who_reads_it(void **state) {
    (void)state;
    assert_int_equal(body_bytes_most("POST", "/debug/pprof/symbol", false), 1 << 20);
    assert_int_equal(body_bytes_most("POST", "/debug/pprof/symbol", true), 1 << 20);
    assert_int_equal(body_bytes_most("POST", "/debug/pprof/s%79mbol", false), 1 << 20);
    assert_int_equal(body_bytes_most("PUT", "/debug/pprof/symbol", false), 0);
    assert_int_equal(body_bytes_most("GET", "/debug/pprof/symbol", false), 0);
    static const char *const others[] = {
        "/debug/pprof/heap", "/debug/pprof/symbol/", "/debug/pprof/symbo", "/debug/pprof/%zz",
        "/debug/pprof/",     "/debug//pprof/symbol", "/nothing",           "",
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_int_equal(body_bytes_most("POST", others[i], false), 0);
        assert_int_equal(body_bytes_most("PUT", others[i], true), 64 << 10);
    }
}
