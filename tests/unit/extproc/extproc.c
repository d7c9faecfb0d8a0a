// SPDX-License-Identifier: Apache-2.0
// The external processor as main.c uses it.
#include "extproc/extproc.c"

#include <poll.h>
#include <unistd.h>

static struct extproc_options options;
static struct extproc *extproc;
static char message[EXTPROC_MESSAGE_BYTES];

static void extra_metrics(struct buffer *text, void *context) {
    assert_int_equal(buffer_append_text(text, context), STATUS_OK);
}

static int setup(void **state) {
    (void)state;
    options = EXTPROC_OPTIONS_DEFAULT;
    options.listen = "127.0.0.1:0";
    options.admin_address = "127.0.0.1:0";
    options.worker_count = 2;
    options.write_metrics = extra_metrics;
    options.write_metrics_context = (void *)"extra 1\n";
    message[0] = '\0';
    extproc = NULL;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    extproc_free(extproc);
    return 0;
}

static void *accept_and_close(void *context) {
    const int *fd = context;
    struct pollfd readable = {.fd = *fd, .events = POLLIN};
    poll(&readable, 1, 20000);
    close(accept(*fd, NULL, NULL));
    return NULL;
}

static bool is_finished(int timeout_ms) {
    struct pollfd finished = {.fd = extproc_finished_fd(extproc), .events = POLLIN};
    return poll(&finished, 1, timeout_ms) == 1;
}

static void test_extproc__is_healthy_until_it_drains(void **state) {
    (void)state;
    char reason[ADMIN_REASON_BYTES] = "";
    options.listen = "127.0.0.1:0,127.0.0.1:0";
    options.drain_delay_ns = 3600 * NS_PER_SECOND;
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    assert_non_null(extproc_address(extproc, 0));
    assert_non_null(extproc_address(extproc, 1));
    assert_null(extproc_address(extproc, 2));
    assert_string_not_equal(extproc_address(extproc, 0), extproc_address(extproc, 1));
    assert_int_equal(strncmp(extproc_admin_address(extproc, 0), "127.0.0.1:", 10), 0);
    assert_true(is_healthy(extproc, reason));
    extproc_drain(extproc);
    assert_false(is_healthy(extproc, reason));
    assert_string_equal(reason, "The processor is draining.");
    assert_false(is_finished(0));
    extproc_stop(extproc);
    assert_true(is_finished(20000));
}

// Its own check is the connection that is one too many, at each listener.
static void test_extproc__is_healthy_when_it_is_full(void **state) {
    (void)state;
    char reason[ADMIN_REASON_BYTES] = "";
    options.listen = "127.0.0.1:0,127.0.0.1:0";
    options.connections_most = 1;
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    const struct listen_socket *listener = &extproc->sockets[0];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&listener->peer, listener->peer_len), 0);
    assert_true(is_healthy(extproc, reason));
    assert_int_equal(service_refused_count(extproc->service), 2);
    close(fd);
}

// Who closes connections for another reason is not full.
static void test_extproc__is_not_healthy_when_connections_are_closed(void **state) {
    (void)state;
    char reason[ADMIN_REASON_BYTES] = "";
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    struct listen_address other;
    struct listen_socket closing, *listener = &extproc->sockets[0];
    assert_int_equal(listen_address_parse(BYTES_LITERAL("127.0.0.1:0"), &other, message),
                     STATUS_OK);
    assert_int_equal(listen_socket_open(&other, &closing, message), STATUS_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, accept_and_close, &closing.fd), 0);
    listener->peer = closing.peer;  // as if its accepting thread did that
    assert_false(is_healthy(extproc, reason));
    pthread_join(thread, NULL);
    assert_string_equal(reason, check_closed);
    listen_socket_close(&closing);
}

static void test_extproc__adds_the_callers_metrics(void **state) {
    (void)state;
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    struct buffer text = {0};
    assert_int_equal(write_metrics(extproc, &text), STATUS_OK);
    assert_true(bytes_start_with(buffer_bytes(&text), BYTES_LITERAL("# HELP extproc_")));
    assert_memory_equal(text.data + text.len - 9, "\nextra 1\n", 9);
    buffer_done(&text);
}

static void test_extproc__needs_no_admin_server(void **state) {
    (void)state;
    options.admin_address = "";
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    assert_null(extproc_admin_address(extproc, 0));
    extproc_stop(extproc);
    assert_true(is_finished(20000));
    assert_string_not_equal(extproc_address(extproc, 0), "");
}

// The descriptor that would be opened next: the same again when nothing was left open in between.
static int next_descriptor(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

static void assert_refused(enum status status, const char *part) {
    int next = next_descriptor();
    assert_int_equal(extproc_start(&options, &extproc, message), status);
    assert_null(extproc);
    assert_int_equal(next_descriptor(), next);
    assert_non_null(strstr(message, part));
    assert_null(strchr(message, '\n'));
}

static void test_extproc__names_the_setting_that_is_wrong(void **state) {
    (void)state;
    options.listen = "127.0.0.1:0,nonsense";
    assert_refused(STATUS_MALFORMED, "--listen: \"nonsense\" is no address");
    options.listen = "127.0.0.1:0";
    options.admin_address = "127.0.0.1:0,nonsense";
    assert_refused(STATUS_MALFORMED, "--admin-address: \"nonsense\" is no address");
}

// Nothing is left bound when one of several addresses is taken.
static void test_extproc__starts_whole_or_not_at_all(void **state) {
    (void)state;
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    struct extproc *first = extproc;
    char taken[128];
    snprintf(taken, sizeof(taken), "127.0.0.1:0,%s", extproc_address(first, 0));
    options.listen = taken;
    extproc = NULL;
    assert_refused(STATUS_BUSY, extproc_address(first, 0));
    options.listen = "127.0.0.1:0";
    options.admin_address = extproc_admin_address(first, 0);
    assert_refused(STATUS_BUSY, extproc_admin_address(first, 0));
    extproc = first;
}

// Neither does it take the place of one that serves.
static void test_extproc__leaves_a_unix_socket_to_who_serves_when_it_cannot_start(void **state) {
    (void)state;
    char folder[64], unix_address[112], with_taken[256], reason[ADMIN_REASON_BYTES] = "";
    snprintf(folder, sizeof(folder), "%s/extproc-test-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(folder));
    snprintf(unix_address, sizeof(unix_address), "unix://%s/socket", folder);
    options.listen = unix_address;
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    struct extproc *first = extproc;
    extproc = NULL;
    options.admin_address = extproc_admin_address(first, 0);
    assert_refused(STATUS_BUSY, extproc_admin_address(first, 0));
    snprintf(with_taken, sizeof(with_taken), "%s,%s", unix_address, options.admin_address);
    options.listen = with_taken;
    options.admin_address = "";
    assert_refused(STATUS_BUSY, "--listen: ");
    assert_true(is_healthy(first, reason));
    extproc_free(first);
    assert_int_equal(rmdir(folder), 0);
}

static void never(const struct extproc_stream *stream, void *context) {
    (void)stream, (void)context;
    fail();
}

static void test_extproc__has_no_streams_at_first(void **state) {
    (void)state;
    assert_int_equal(extproc_start(&options, &extproc, message), STATUS_OK);
    extproc_visit_streams(extproc, never, NULL);
}
