// SPDX-License-Identifier: Apache-2.0
// The check against listeners that misbehave; one that serves is tests/unit/extproc/extproc.c's.
#include "extproc/admin/check.c"

#include <pthread.h>
#include <stdio.h>

static struct listen_socket listening;

static int setup(void **state) {
    (void)state;
    struct listen_address address;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(listen_address_parse(BYTES_LITERAL("127.0.0.1:0"), &address, message),
                     STATUS_OK);
    return listen_socket_open(&address, &listening, message) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    listen_socket_close(&listening);
    return 0;
}

static int64_t soon(void) {
    return clock_monotonic_ns() + 30 * NS_PER_MS;
}

static int64_t late(void) {
    return clock_monotonic_ns() + 60 * NS_PER_SECOND;
}

// The kernel lets the connection in, but nobody takes it: as when the accepting thread hangs.
static void test_check__hears_nothing_from_a_listener_that_hangs(void **state) {
    (void)state;
    const char *reason = check_listener(&listening, soon());
    assert_non_null(reason);
    assert_string_equal(reason, "The gRPC listener does not answer in time.");
}

static void test_check__sees_a_closed_listener(void **state) {
    (void)state;
    struct listen_socket closed = listening;
    listen_socket_close(&listening);
    assert_string_equal(check_listener(&closed, late()),
                        "The gRPC listener does not take connections.");
}

static struct bytes reply;

// Accepts one connection, says `reply` and closes it.
static void *reply_once(void *context) {
    (void)context;
    struct pollfd readable = {.fd = listening.fd, .events = POLLIN};
    poll(&readable, 1, 60000);
    int fd = accept(listening.fd, NULL, NULL);
    uint8_t request[512];
    (void)!recv(fd, request, sizeof(request), 0);
    if (reply.len != 0) (void)!send(fd, reply.data, reply.len, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static const char *check_reply(struct bytes bytes) {
    reply = bytes;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reply_once, NULL), 0);
    const char *reason = check_listener(&listening, late());
    pthread_join(thread, NULL);
    return reason;
}

static void test_check__reads_what_a_listener_says(void **state) {
    (void)state;
    assert_ptr_equal(check_reply(BYTES_EMPTY), check_closed);
    assert_string_equal(check_reply(BYTES_LITERAL("\0\0\4\3\0\0\0\0\1\0\0\0\2")),
                        "The gRPC listener refuses health checks.");
    assert_string_equal(check_reply(BYTES_LITERAL("\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\2")),
                        "The gRPC listener says that it is not serving.");
    assert_null(check_reply(BYTES_LITERAL("\0\0\0\4\0\0\0\0\0\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\1")));
}
