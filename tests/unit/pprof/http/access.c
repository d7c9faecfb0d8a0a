// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/access.c"

#include <stdlib.h>
#include <unistd.h>

#define TOKEN "0123456789abcdef"

static char path[] = "/tmp/access-XXXXXX";
static char message[PPROF_MESSAGE_BYTES];

static void write_tokens(const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int setup_all(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown_all(void **state) {
    (void)state;
    return unlink(path);
}

static int setup(void **state) {
    (void)state;
    write_tokens("ci:" TOKEN "\n");
    return access_init(&(const struct access_rules){0}, message);
}

static enum refusal ask_as(const char *host) {
    const struct visitor visitor = {.is_loopback = true, .host = bytes_of_text(host)};
    return access_check(&visitor).refusal;
}

static void test_access__localhost_and_addresses_are_always_ours(void **state) {
    (void)state;
    static const char *const good[] = {
        "",          "localhost",     "localhost:6060", "LOCALHOST:1", "a.localhost",
        "127.0.0.1", "10.1.2.3:6060", "[::1]:6060",     "[fd00::1]",   "255.255.255.255",
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        if (ask_as(good[i]) != REFUSAL_NONE) print_error("%s\n", good[i]);
        assert_int_equal(ask_as(good[i]), REFUSAL_NONE);
    }
}

static void test_access__other_names_are_not_until_they_are_allowed(void **state) {
    (void)state;
    static const char *const bad[] = {
        "evil.example",
        "evil.example:6060",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.example",
        "[::1].example",
        "[::1",
        "::1",
        "127.0.0.1:x",
        "1",
        "0x7f.1",
        ":6060",
        "localhost:6060:1",
        "[]",
        "[evil.example]",
        "localhost:",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        bool is_empty_port = strcmp(bad[i], "localhost:") == 0;  // RFC 3986 allows it
        if (ask_as(bad[i]) == REFUSAL_NONE && !is_empty_port) print_error("%s\n", bad[i]);
        assert_int_equal(ask_as(bad[i]), is_empty_port ? REFUSAL_NONE : REFUSAL_HOST);
    }
    const struct access_rules rows = {.allowed_hosts = "gateway.example,x"};
    assert_int_equal(access_init(&rows, message), 0);
    assert_int_equal(ask_as("Gateway.Example:6060"), REFUSAL_NONE);
    assert_int_equal(ask_as("x"), REFUSAL_NONE);
    assert_int_equal(ask_as("gateway.example.evil"), REFUSAL_HOST);
    assert_int_equal(ask_as("a.gateway.example"), REFUSAL_HOST);
    assert_int_equal(ask_as("gateway"), REFUSAL_HOST);
    assert_int_equal(ask_as("gateway.example,x"), REFUSAL_HOST);
}

static void test_access__what_is_no_list_of_names_is_refused_at_the_start(void **state) {
    (void)state;
    static const char *const bad[] = {"a:6060", "a, b", ",", "a,,b", "*.a", "http://a", "a/b"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const struct access_rules rows = {.allowed_hosts = bad[i]};
        if (access_init(&rows, message) != -EINVAL) print_error("%s\n", bad[i]);
        assert_int_equal(access_init(&rows, message), -EINVAL);
        assert_memory_equal(message, "PPROF_ALLOWED_HOSTS: ", 21);
    }
}

static void add(struct visitor *visitor, const char *name, const char *value) {
    if (value != NULL) access_add_header(visitor, bytes_of_text(name), bytes_of_text(value));
}

static void test_access__pages_of_other_sites_may_link_to_the_index_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        const char *site, *mode, *dest;
        bool wants_index;
        enum refusal expected;
    } rows[] = {
        {NULL, NULL, NULL, false, REFUSAL_NONE},
        {"none", "navigate", "document", false, REFUSAL_NONE},
        {"same-origin", "cors", "empty", false, REFUSAL_NONE},
        {"cross-site", "navigate", "document", true, REFUSAL_NONE},
        {"same-site", "navigate", "document", true, REFUSAL_NONE},
        {"cross-site", "navigate", "document", false, REFUSAL_SITE},
        {"cross-site", "navigate", "iframe", true, REFUSAL_SITE},
        {"cross-site", "no-cors", "document", true, REFUSAL_SITE},
        {"cross-site", "no-cors", "image", false, REFUSAL_SITE},
        {"cross-site", NULL, NULL, true, REFUSAL_SITE},
        {"same-site", "cors", "empty", false, REFUSAL_SITE},
        {"", NULL, NULL, false, REFUSAL_SITE},
        {"invented", NULL, NULL, false, REFUSAL_SITE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct visitor visitor = {.is_loopback = true, .wants_index = rows[i].wants_index};
        add(&visitor, "Sec-Fetch-Site", rows[i].site);
        add(&visitor, "sec-fetch-mode", rows[i].mode);
        add(&visitor, "SEC-FETCH-DEST", rows[i].dest);
        if (access_check(&visitor).refusal != rows[i].expected) print_error("row %zu\n", i);
        assert_int_equal(access_check(&visitor).refusal, rows[i].expected);
    }
    struct visitor twice = {.is_loopback = true};
    add(&twice, "Sec-Fetch-Site", "cross-site");
    add(&twice, "Sec-Fetch-Site", "same-origin");
    assert_int_equal(access_check(&twice).refusal, REFUSAL_SITE);
}

static struct pass come(bool is_loopback, const char *authorization) {
    struct visitor visitor = {.is_loopback = is_loopback};
    add(&visitor, "Authorization", authorization);
    return access_check(&visitor);
}

static void use_tokens(bool asks_loopback) {
    const struct access_rules tokens = {.token_file = path, .asks_loopback = asks_loopback};
    assert_int_equal(access_init(&tokens, message), 0);
}

static void test_access__a_token_is_asked_of_all_but_loopback(void **state) {
    (void)state;
    use_tokens(false);
    assert_int_equal(come(true, NULL).refusal, REFUSAL_NONE);
    assert_int_equal(come(true, "Bearer wrong").refusal, REFUSAL_NONE);
    assert_int_equal(come(false, NULL).refusal, REFUSAL_NO_TOKEN);
    assert_int_equal(come(false, "Bearer wrong").refusal, REFUSAL_WRONG_TOKEN);
    assert_int_equal(come(false, "Bearer " TOKEN).refusal, REFUSAL_NONE);
    assert_string_equal(come(false, "Bearer " TOKEN).token, "ci");
    assert_string_equal(come(true, "Bearer " TOKEN).token, "ci");
    use_tokens(true);
    assert_int_equal(come(true, NULL).refusal, REFUSAL_NO_TOKEN);
    assert_int_equal(come(true, "bearer  " TOKEN).refusal, REFUSAL_NONE);
}

// Would catch: an empty secret, or none, that equals something.
static void test_access__what_is_no_bearer_token_is_wrong(void **state) {
    (void)state;
    use_tokens(false);
    static const char *const bad[] = {"",
                                      "Bearer",
                                      "Bearer ",
                                      TOKEN,
                                      "Token " TOKEN,
                                      "Digest username=\"x\"",
                                      "Bearer " TOKEN " ",
                                      "Bearer\t" TOKEN};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(come(false, bad[i]).refusal, REFUSAL_WRONG_TOKEN);
        assert_string_equal(come(false, bad[i]).token, "");
    }
}

// Would catch: a file that is at fault and lets everybody in.
static void test_access__without_a_good_file_nobody_gets_in_who_needs_a_token(void **state) {
    (void)state;
    use_tokens(false);
    static const char *const bad[] = {"", "short\n", "ci:" TOKEN "\nshort\n"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        write_tokens(bad[i]);
        assert_int_equal(come(false, "Bearer " TOKEN).refusal, REFUSAL_TOKEN_FILE);
        assert_int_equal(come(false, "Bearer").refusal, REFUSAL_TOKEN_FILE);
        assert_int_equal(come(false, NULL).refusal, REFUSAL_TOKEN_FILE);
        assert_int_equal(come(true, NULL).refusal, REFUSAL_NONE);
    }
    write_tokens(TOKEN);
    assert_int_equal(come(false, "Bearer " TOKEN).refusal, REFUSAL_NONE);
}

static void test_access__rules_that_cannot_hold_are_refused_at_the_start(void **state) {
    (void)state;
    write_tokens("short");
    const struct access_rules rows[] = {
        {.token_file = path},
        {.token_file = "/nonexistent"},
        {.token_file = "/"},
        {.asks_loopback = true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        message[0] = '\0';
        assert_int_equal(access_init(&rows[i], message), -EINVAL);
        assert_non_null(strstr(message, "PPROF_TOKEN_FILE"));
    }
}

static void test_access__refusals_say_how_to_get_in(void **state) {
    (void)state;
    static const struct {
        enum refusal refusal;
        unsigned status;
    } rows[] = {{REFUSAL_HOST, 403},
                {REFUSAL_SITE, 403},
                {REFUSAL_NO_TOKEN, 401},
                {REFUSAL_WRONG_TOKEN, 401},
                {REFUSAL_TOKEN_FILE, 503}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = {0};
        access_answer(rows[i].refusal, &answer);
        assert_int_equal(answer.status, rows[i].status);
        assert_int_equal(answer.asks_for_token, rows[i].status == 401);
        assert_true(answer.is_pprof_error && answer.body.len > 10);
        answer_done(&answer);
    }
}
