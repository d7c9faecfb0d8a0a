// SPDX-License-Identifier: Apache-2.0
// The health check against answers that the test makes up, over loopback.
#include "src/healthcheck.c"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/wait.h>

// What the check at SCHEME:PORT returned, whose request begins with `request` and is answered by
// `answer`; the answer of NULL is silence.
static int check_by(const char *scheme, const char *request, const char *answer,
                    size_t answer_len) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &len), 0);
    char address[32];
    snprintf(address, sizeof(address), "%s:%u", scheme, ntohs(name.sin_port));

    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int code = healthcheck_run(address);
        fflush(NULL);
        _exit(code);
    }
    int fd = -1;
    if (answer != NULL) {
        fd = accept(listener, NULL, NULL);
        char asked[ANSWER_BYTES] = "";
        assert_true(recv(fd, asked, sizeof(asked) - 1, 0) > 0);
        assert_memory_equal(asked, request, strlen(request));
        assert_int_equal(send(fd, answer, answer_len, MSG_NOSIGNAL), answer_len);
        close(fd);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    close(listener);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int check_against(const char *answer) {
    return check_by("", "GET /health HTTP/1.1\r\nHost: localhost\r\n", answer,
                    answer != NULL ? strlen(answer) : 0);
}

static int check_grpc_against(const char *answer, size_t len) {
    return check_by("grpc://", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", answer, len);
}

static void test_healthcheck__200_is_healthy(void **state) {
    (void)state;
    assert_int_equal(check_against("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOK\n"), 0);
}

static void test_healthcheck__every_other_code_is_not(void **state) {
    (void)state;
    assert_int_equal(check_against("HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n"), 1);
    assert_int_equal(check_against("HTTP/1.1 2000 OK\r\n\r\n"), 1);
}

static void test_healthcheck__no_answer_is_not_healthy(void **state) {
    (void)state;
    assert_int_equal(check_against(""), 1);
    assert_int_equal(check_against("HTTP/1.1 200 OK\r\n"), 1);
}

static void test_healthcheck__serving_is_healthy(void **state) {
    (void)state;
    // A frame of SETTINGS, then one of DATA with a HealthCheckResponse; its last byte is the
    // status.
    static const char serving[] = "\0\0\0\4\0\0\0\0\0"
                                  "\0\0\7\0\0\0\0\0\1"
                                  "\0\0\0\0\2\10\1";
    assert_int_equal(check_grpc_against(serving, sizeof(serving) - 1), 0);
}

static void test_healthcheck__every_other_answer_of_grpc_is_not(void **state) {
    (void)state;
    static const char not_serving[] = "\0\0\7\0\0\0\0\0\1"
                                      "\0\0\0\0\2\10\2";
    static const char goaway[] = "\0\0\0\7\0\0\0\0\0";
    assert_int_equal(check_grpc_against(not_serving, sizeof(not_serving) - 1), 1);
    assert_int_equal(check_grpc_against(goaway, sizeof(goaway) - 1), 1);
    assert_int_equal(check_grpc_against(not_serving, 5), 1);
    assert_int_equal(check_grpc_against("HTTP/1.1 400 Bad Request\r\n\r\n", 28), 1);
}

static void test_healthcheck__silence_ends_it(void **state) {
    (void)state;
    assert_int_equal(check_against(NULL), 1);
    assert_int_equal(check_grpc_against(NULL, 0), 1);
}

static void test_healthcheck__nobody_there_is_not_healthy(void **state) {
    (void)state;
    // Nobody listens there: 1 belongs to no service that is left.
    assert_int_equal(healthcheck_run("127.0.0.1:1"), 1);
}

static void test_healthcheck__an_address_needs_a_port(void **state) {
    (void)state;
    assert_int_equal(healthcheck_run(""), 1);
    assert_int_equal(healthcheck_run("127.0.0.1"), 1);
    assert_int_equal(healthcheck_run("127.0.0.1:"), 1);
}

static void check_first(const char *list, const char *expected) {
    char address[ADDRESS_BYTES];
    take_first(list, address);
    assert_string_equal(address, expected);
}

static void test_healthcheck__asks_the_first_of_a_list(void **state) {
    (void)state;
    check_first(":1064", ":1064");
    check_first(" 10.0.0.1:1064 , localhost:1064", "10.0.0.1:1064");
    check_first("", "");
    check_first(" ,:1064", "");
    char list[ADDRESS_BYTES + 8], cut[ADDRESS_BYTES];
    snprintf(list, sizeof(list), "%0*d:1064", ADDRESS_BYTES, 0);
    take_first(list, cut);
    assert_int_equal(strlen(cut), ADDRESS_BYTES - 1);
}

static void check_split(const char *address, const char *expected_host) {
    char host[HOST_BYTES];
    const char *port;
    assert_true(split(address, host, &port));
    assert_string_equal(host, expected_host);
    assert_string_equal(port, "1064");
}

static void test_healthcheck__addresses_are_split_at_the_last_colon(void **state) {
    (void)state;
    check_split(":1064", "");
    check_split("10.0.0.1:1064", "10.0.0.1");
    check_split("[::1]:1064", "::1");
    check_split("a-service.a-namespace:1064", "a-service.a-namespace");
    char address[HOST_BYTES + 8], host[HOST_BYTES];
    const char *port;
    snprintf(address, sizeof(address), "%0*d:1064", HOST_BYTES, 0);
    assert_false(split(address, host, &port));
}
