// SPDX-License-Identifier: Apache-2.0
// The admin server over real loopback connections, with handlers of the test's own.
#include "extproc/admin/admin.c"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool healthy;
static enum status metrics_status;
static struct listen_socket listening;
static struct admin *admin;

static bool test_is_healthy(void *context, char reason[ADMIN_REASON_BYTES]) {
    assert_ptr_equal(context, &healthy);
    if (!healthy) snprintf(reason, ADMIN_REASON_BYTES, "%0*d", ADMIN_REASON_BYTES - 1, 7);
    return healthy;
}

static enum status test_write_metrics(void *context, struct buffer *text) {
    assert_ptr_equal(context, &healthy);
    if (metrics_status != STATUS_OK) return metrics_status;
    return buffer_append_text(text, "# TYPE a counter\na 1\n");
}

static int setup(void **state) {
    (void)state;
    healthy = true;
    metrics_status = STATUS_OK;
    struct listen_address address;
    char message[LISTEN_MESSAGE_BYTES];
    if (listen_address_parse(BYTES_LITERAL("127.0.0.1:0"), &address, message) != STATUS_OK ||
        listen_socket_open(&address, &listening, message) != STATUS_OK) {
        return -1;
    }
    const struct admin_handlers handlers = {test_is_healthy, test_write_metrics, &healthy};
    return admin_start(&listening, &handlers, &admin) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    admin_free(admin);
    return 0;
}

// The whole answer to a request, as text. It lives until the next call.
static const char *ask(const char *request) {
    static char answer[4096];
    int fd = socket(listening.peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&listening.peer, listening.peer_len), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    size_t len = 0;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    while (len < sizeof(answer) - 1 && poll(&readable, 1, 20000) == 1) {
        ssize_t received = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
        if (received <= 0) break;
        len += (size_t)received;
    }
    answer[len] = '\0';
    close(fd);
    return answer;
}

#define REST " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void assert_answer(const char *request, const char *status, const char *body) {
    const char *answer = ask(request);
    char line[64];
    snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
    assert_int_equal(strncmp(answer, line, strlen(line)), 0);
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end + 4, body);
}

static void test_admin__says_that_all_is_well(void **state) {
    (void)state;
    assert_answer("GET /health" REST, "200", "OK\n");
    assert_answer("GET /health?x=y" REST, "200", "OK\n");
}

static void test_admin__says_why_it_is_not_however_long_the_reason(void **state) {
    (void)state;
    healthy = false;
    char reason[ADMIN_REASON_BYTES + 1];
    snprintf(reason, sizeof(reason), "%0*d\n", ADMIN_REASON_BYTES - 1, 7);
    assert_answer("GET /health" REST, "503", reason);
}

static void test_admin__serves_metrics_as_prometheus_wants_them(void **state) {
    (void)state;
    assert_answer("GET /metrics" REST, "200", "# TYPE a counter\na 1\n");
    assert_non_null(strstr(ask("GET /metrics" REST),
                           "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    metrics_status = STATUS_NO_MEMORY;
    assert_answer("GET /metrics" REST, "500", "No memory.\n");
}

static void test_admin__answers_head_without_a_body(void **state) {
    (void)state;
    assert_answer("HEAD /metrics" REST, "200", "");
    assert_non_null(strstr(ask("HEAD /metrics" REST), "\r\nContent-Length: 21\r\n"));
}

static void test_admin__has_no_other_paths_or_methods(void **state) {
    (void)state;
    assert_answer("GET /" REST, "404", "There are /health and /metrics.\n");
    assert_answer("GET /healthz" REST, "404", "There are /health and /metrics.\n");
    assert_answer("DELETE /health" REST, "405", "Only GET and HEAD.\n");
    assert_answer("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                  "Connection: close\r\n\r\nhello",
                  "405", "Only GET and HEAD.\n");
    assert_non_null(strstr(ask("PUT /metrics" REST), "\r\nAllow: GET, HEAD\r\n"));
}

// A body on a GET is odd but allowed; it is not mistaken for the next request.
static void test_admin__ignores_the_body_of_a_get(void **state) {
    (void)state;
    assert_answer("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                  "Connection: close\r\n\r\nhello",
                  "200", "OK\n");
}

static void test_admin__refuses_endless_headers(void **state) {
    (void)state;
    static char request[CONNECTION_MEMORY_BYTES * 2];
    memset(request, 'x', sizeof(request) - 1);
    memcpy(request, "GET /health HTTP/1.1\r\nHost: x\r\na: ", 34);
    strcpy(request + sizeof(request) - 5, "\r\n\r\n");
    const char *answer = ask(request);
    assert_true(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 431 ", 13) == 0);
    assert_answer("GET /health" REST, "200", "OK\n");
}
