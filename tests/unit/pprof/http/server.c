// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/server.c"

#include <sched.h>
#include <stdio.h>

#include "pprof/http/record.h"
#include "pprof/sample/cpu.h"
#include "pprof/sample/thread.h"
#include "tests/unit/pprof/client.h"

static struct listeners listeners;
static struct buffer answer;

static int setup_all(void **state) {
    (void)state;
    return thread_enter_main() == STATUS_OK && cpu_init(2) == STATUS_OK ? 0 : -1;
}

static int setup(void **state) {
    (void)state;
    char message[PPROF_MESSAGE_BYTES];
    if (listeners_open("127.0.0.1:0", &listeners, message) != 0) return -1;
    return server_start(&listeners) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    server_stop();
    buffer_done(&answer);
    return 0;
}

// `rest`: headers and body, each line with its end.
static const char *ask(const char *line, const char *rest) {
    char request[4096];
    snprintf(request, sizeof request, "%s\r\nConnection: close\r\n%s", line, rest);
    return client_ask(listeners.addresses[0], request, &answer);
}

static bool begins(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static void test_server__errors_carry_go_s_headers(void **state) {
    (void)state;
    const char *text = ask("GET /debug/pprof/nosuch HTTP/1.1", "Host: localhost\r\n\r\n");
    assert_true(begins(text, "HTTP/1.1 404 Not Found\r\n"));
    assert_non_null(strstr(text, "\r\nX-Go-Pprof: 1\r\n"));
    assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
    assert_null(strstr(text, "Content-Disposition"));
    assert_non_null(strstr(text, "\r\n\r\nUnknown profile\n"));
}

static void test_server__a_redirect_has_its_place_and_no_nosniff(void **state) {
    (void)state;
    const char *text = ask("GET /debug/pprof?a=b HTTP/1.1", "Host: localhost\r\n\r\n");
    assert_true(begins(text, "HTTP/1.1 307 Temporary Redirect\r\n"));
    assert_non_null(strstr(text, "\r\nLocation: /debug/pprof/?a=b\r\n"));
    assert_null(strstr(text, "nosniff"));
}

// The library hands out a decoded query; the words of symbol are split in the raw one.
static void test_server__the_query_reaches_the_endpoint_as_it_was_sent(void **state) {
    (void)state;
    char line[128];
    snprintf(line, sizeof line, "GET /debug/pprof/symbol?%p%%2B%p+%p HTTP/1.1",
             (void *)server_start, (void *)server_start, (void *)server_stop);
    const char *text = ask(line, "Host: localhost\r\n\r\n");
    assert_null(strstr(text, "server_start"));
    assert_non_null(strstr(text, "server_stop\n"));
}

static void test_server__a_posted_body_is_read_whole(void **state) {
    (void)state;
    struct buffer request = {0};
    enum { WORDS = 5000 };
    assert_int_equal(buffer_append_format(&request,
                                          "POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n"
                                          "Connection: close\r\nContent-Length: %d\r\n\r\n",
                                          WORDS * 21),
                     STATUS_OK);
    for (int i = 0; i < WORDS; i++) {
        assert_int_equal(buffer_append_format(&request, "0x%018lx+", (uintptr_t)server_stop),
                         STATUS_OK);
    }
    int fd = client_connect(listeners.addresses[0]);
    client_send(fd, buffer_bytes(&request));
    client_read_all(fd, &answer);
    close(fd);
    buffer_done(&request);
    client_keep_body(&answer);
    int named = 0;
    for (const char *at = (const char *)answer.data; (at = strstr(at, " server_stop\n")); at++) {
        named++;
    }
    assert_int_equal(named, WORDS);
}

// Nobody holds anything if somebody can have it all.
static bool is_all_given_back(void) {
    void *all = reserve_resize(NULL, 0, RESERVE_LENT_BYTES_MOST);
    if (all != NULL) reserve_resize(all, RESERVE_LENT_BYTES_MOST, 0);
    return all != NULL;
}

// Sends so many addresses with a method to a path, says that there are `missing` bytes more, and
// reads the answer if there are none.
static void post(const char *method, const char *path, size_t words, size_t missing) {
    struct buffer request = {0};
    assert_int_equal(buffer_append_format(&request,
                                          "%s %s HTTP/1.1\r\nHost: localhost\r\n"
                                          "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                                          method, path, words * 21 + missing),
                     STATUS_OK);
    for (size_t i = 0; i < words; i++) {
        assert_int_equal(buffer_append_format(&request, "0x%018lx+", (uintptr_t)server_stop),
                         STATUS_OK);
    }
    int fd = client_connect(listeners.addresses[0]);
    client_send(fd, buffer_bytes(&request));
    buffer_done(&answer);
    if (missing == 0) client_read_all(fd, &answer);
    close(fd);
    buffer_done(&request);
}

static void test_server__what_a_request_held_goes_back_however_it_ends(void **state) {
    (void)state;
    static const struct {
        const char *method, *path, *status;
        size_t words, missing;
    } rows[] = {
        {"POST", "/debug/pprof/symbol", "HTTP/1.1 200", 10000, 0},
        {"HEAD", "/debug/pprof/symbol?0x1", "HTTP/1.1 200", 0, 0},
        {"GET", "/debug/pprof/symbol?0x1", "HTTP/1.1 200", 0, 0},
        {"POST", "/debug/pprof/symbol", "HTTP/1.1 413", 100000, 0},
        {"POST", "/nothing", "HTTP/1.1 404", 100000, 0},
        {"POST", "/debug/pprof/symbol", NULL, 10000, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        post(rows[i].method, rows[i].path, rows[i].words, rows[i].missing);
        if (rows[i].status != NULL) {
            assert_true(begins((const char *)answer.data, rows[i].status));
        }
        int64_t deadline = clock_monotonic_ns() + 10 * NS_PER_SECOND;
        while (!is_all_given_back() && clock_monotonic_ns() < deadline) sched_yield();
        if (!is_all_given_back()) print_error("%s %s\n", rows[i].method, rows[i].path);
        assert_true(is_all_given_back());
    }
}

// Somebody else has it all: no body is kept, no profile made.
static void test_server__past_what_readers_may_hold_is_503(void **state) {
    (void)state;
    void *all = reserve_resize(NULL, 0, RESERVE_LENT_BYTES_MOST);
    assert_non_null(all);
    const char *text = ask("POST /debug/pprof/symbol HTTP/1.1",
                           "Host: localhost\r\nContent-Length: 3\r\n\r\n0x1");
    assert_true(begins(text, "HTTP/1.1 503 "));
    assert_non_null(strstr(text, "\r\nRetry-After: 1\r\n"));
    assert_non_null(strstr(text, "other readers"));
    assert_true(begins(ask("GET /debug/pprof/symbol HTTP/1.1", "Host: localhost\r\n\r\n"),
                       "HTTP/1.1 503 "));
    assert_true(
        begins(ask("GET /debug/pprof/ HTTP/1.1", "Host: localhost\r\n\r\n"), "HTTP/1.1 200 "));
    reserve_resize(all, RESERVE_LENT_BYTES_MOST, 0);
    assert_true(begins(ask("GET /debug/pprof/symbol HTTP/1.1", "Host: localhost\r\n\r\n"),
                       "HTTP/1.1 200 "));
}

// Go sends up to 2048 bytes with their length, more in chunks.
static void test_server__a_long_answer_comes_in_chunks(void **state) {
    (void)state;
    const char *text = ask("GET /debug/pprof/cmdline HTTP/1.1", "Host: localhost\r\n\r\n");
    assert_non_null(strstr(text, "\r\nContent-Length: "));
    assert_null(strstr(text, "chunked"));
    char words[2400] = "GET /debug/pprof/symbol?";
    size_t len = strlen(words);
    for (int i = 0; i < 100; i++) {
        len += (size_t)snprintf(words + len, sizeof words - len, "%p+", (void *)server_stop);
    }
    snprintf(words + len, sizeof words - len, " HTTP/1.1");
    text = ask(words, "Host: localhost\r\n\r\n");
    assert_non_null(strstr(text, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_null(strstr(text, "Content-Length"));
}

static void test_server__what_two_readers_could_understand_differently_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *line, *rest;
    } rows[] = {
        {"GET /debug/pprof/cmdline HTTP/1.1", "Host: a\r\nHost: b\r\n\r\n"},
        {"GET /debug/pprof/cmdline HTTP/1.1", "Host: a b\r\n\r\n"},
        {"GET /debug/pprof/cmdline HTTP/1.1",
         "Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"},
        {"G(T /debug/pprof/cmdline HTTP/1.1", "Host: localhost\r\n\r\n"},
        {"GET /debug/pprof/cmdline HTTP/1.1", "Host: localhost\r\nX(y: 1\r\n\r\n"},
        {"POST /debug/pprof/symbol HTTP/1.1",
         "Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"},
        {"GET /debug/pprof/he%zz HTTP/1.1", "Host: localhost\r\n\r\n"},
        {"GET debug/pprof/cmdline HTTP/1.1", "Host: localhost\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *text = ask(rows[i].line, rows[i].rest);
        if (!begins(text, "HTTP/1.1 400 ")) print_error("%s %s\n", rows[i].line, text);
        assert_true(begins(text, "HTTP/1.1 400 "));
    }
}

// Would catch: a wait that does not see its client leave; then no window would ever be free again.
static void test_server__a_client_that_leaves_frees_its_window(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {  // three times as many as there are windows
        int fd = client_connect(listeners.addresses[0]);
        static const char request[] =
            "GET /debug/pprof/profile?seconds=300 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client_send(fd, bytes_of_text(request));
        shutdown(fd, SHUT_WR);
        answer.len = 0;
        client_read_all(fd, &answer);
        close(fd);
        assert_true(begins((const char *)answer.data, "HTTP/1.1 200 OK\r\n"));
    }
}

// Would catch: a page that may load from elsewhere, or stand in another one's frame.
static void test_server__the_page_is_bound_to_its_own_files(void **state) {
    (void)state;
    static const char *const lines[] = {"GET /debug/pprof/ HTTP/1.1",
                                        "GET /debug/pprof/page/main.mjs HTTP/1.1"};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const char *text = ask(lines[i], "Host: localhost\r\n\r\n");
        assert_true(begins(text, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(text, "\r\nContent-Security-Policy: default-src 'none'; "
                                     "script-src 'self'; style-src 'self'; connect-src 'self'; "
                                     "img-src 'self' data:; "));
        assert_non_null(strstr(text, "; frame-ancestors 'none'\r\n"));
        assert_non_null(strstr(text, "\r\nReferrer-Policy: no-referrer\r\n"));
        assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
        bool is_file = strstr(text, "\r\nContent-Encoding: gzip\r\n") != NULL;
        assert_int_equal(is_file, i == 1);
        assert_int_equal(strstr(text, "\r\nETag: \"") != NULL, i == 1);
    }
}

static void test_server__a_file_that_the_browser_has_is_not_sent_again(void **state) {
    (void)state;
    const char *text = ask("GET /debug/pprof/page/main.mjs HTTP/1.1", "Host: localhost\r\n\r\n");
    const char *tag = strstr(text, "\r\nETag: ");
    assert_non_null(tag);
    char rest[128];
    tag += strlen("\r\nETag: ");
    snprintf(rest, sizeof rest, "Host: localhost\r\nIf-None-Match: %.*s\r\n\r\n",
             (int)strcspn(tag, "\r"), tag);
    text = ask("GET /debug/pprof/page/main.mjs HTTP/1.1", rest);
    assert_true(begins(text, "HTTP/1.1 304 Not Modified\r\n"));
    assert_null(strstr(text, "Content-Encoding"));
    const char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end, "\r\n\r\n");
}

static void test_server__requests_are_counted(void **state) {
    (void)state;
    uint64_t before = record_request_count();
    for (int i = 0; i < 5; i++) ask("GET /debug/pprof/cmdline HTTP/1.1", "Host: localhost\r\n\r\n");
    assert_int_equal(record_request_count(), before + 5);
}
