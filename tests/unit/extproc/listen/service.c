// SPDX-License-Identifier: Apache-2.0
// The whole service on loopback sockets: workers, connections, drain. Nothing waits for time to
// pass but for what the service itself times, and no test fails by being slow.
#include "extproc/listen/service.c"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>

#include "extproc/grpc/probe.h"
#include "tests/unit/extproc/http2/client.h"

#define CHECK_PATH "/grpc.health.v1.Health/Check"
#define PROCESS_PATH "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
#define LONG_NS (3600 * NS_PER_SECOND)

enum { WAIT_MS = 20000, FDS_MOST = 64 };

static const struct process_options process = {.body_limit_bytes = 1 << 20};
static struct budget budget, streams_budget;
static struct service_options options;
static struct listen_socket address;
static struct service *service;
static int fds[FDS_MOST];
static size_t fd_count;

static int setup(void **state) {
    (void)state;
    budget = streams_budget = (struct budget){0};
    options = (struct service_options){.worker_count = 3,
                                       .connections_most = 100,
                                       .streams_most = 1024,
                                       .drain_delay_ns = 0,
                                       .drain_deadline_ns = LONG_NS,
                                       .process = &process,
                                       .budget = &budget,
                                       .streams_budget = &streams_budget};
    fd_count = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    while (fd_count > 0) close(fds[--fd_count]);
    service_free(service);
    service = NULL;
    return budget.used == 0 && streams_budget.used == 0 ? 0 : -1;
}

static void start_at(const char *text) {
    struct listen_address parsed;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(listen_address_parse(bytes_of_text(text), &parsed, message), STATUS_OK);
    assert_int_equal(listen_socket_open(&parsed, &address, message), STATUS_OK);
    assert_int_equal(listen_sockets_publish(&address, 1, message), STATUS_OK);
    assert_int_equal(service_start(&options, &address, 1, &service), STATUS_OK);
}

static void start(void) {
    start_at("127.0.0.1:0");
}

// -1: refused.
static int try_connect(void) {
    int fd = socket(address.peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address.peer, address.peer_len) == 0) return fd;
    close(fd);
    return -1;
}

static int connect_to_service(void) {
    int fd = try_connect();
    assert_true(fd >= 0);
    assert_true(fd_count < FDS_MOST);
    fds[fd_count++] = fd;
    return fd;
}

static bool is_readable(int fd) {
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return poll(&readable, 1, WAIT_MS) == 1;
}

static enum probe_verdict read_verdict(int fd) {
    struct probe probe = {0};
    enum probe_verdict verdict = PROBE_WAIT;
    while (verdict == PROBE_WAIT) {
        uint8_t input[512];
        assert_true(is_readable(fd));
        ssize_t len = recv(fd, input, sizeof(input), 0);
        if (len <= 0) return PROBE_BROKEN;
        verdict = probe_read(&probe, bytes_of(input, (size_t)len));
    }
    return verdict;
}

// A health check on a fresh connection.
static enum probe_verdict check(int fd) {
    struct bytes request = probe_request();
    assert_int_equal(send(fd, request.data, request.len, MSG_NOSIGNAL), request.len);
    return read_verdict(fd);
}

static bool is_finished(void) {
    return is_readable(service_finished_fd(service));
}

// Until the worker has exactly so many connections; the service tells of each that goes.
static void wait_for_connections(size_t worker, size_t count) {
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&service->lock);
    while (worker_connections(&service->workers[worker]) != count) {
        if (pthread_cond_timedwait(&service->answered, &service->lock, &deadline) != 0) break;
    }
    pthread_mutex_unlock(&service->lock);
    assert_int_equal(worker_connections(&service->workers[worker]), count);
}

static uint64_t count_of_workers(enum metric metric) {
    uint64_t count = 0;
    for (size_t i = 0; i < service->worker_count; i++) {
        count += metrics_read(&service->workers[i].metrics, metric);
    }
    return count;
}

static void test_service__picks_by_connections_then_streams_then_turn(void **state) {
    (void)state;
    struct worker *workers = allocate(3, sizeof(*workers));
    assert_int_equal(pick_worker(workers, 3, 0), 1);
    assert_int_equal(pick_worker(workers, 3, 1), 2);
    assert_int_equal(pick_worker(workers, 3, 2), 0);
    assert_int_equal(pick_worker(workers, 1, 0), 0);
    workers[1].connection_count = 2;
    assert_int_equal(pick_worker(workers, 3, 0), 2);
    workers[0].connection_count = workers[2].connection_count = 2;
    metrics_add(&workers[1].metrics, METRIC_STREAMS, 1);
    metrics_add(&workers[2].metrics, METRIC_STREAMS, 5);
    assert_int_equal(pick_worker(workers, 3, 0), 0);
    workers[0].connection_count = 3;
    assert_int_equal(pick_worker(workers, 3, 0), 1);
    free(workers);
}

static void test_service__spreads_connections_evenly(void **state) {
    (void)state;
    start();
    for (size_t i = 0; i < 9; i++) assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(worker_connections(&service->workers[i]), 3);
        assert_int_equal(metrics_read(&service->workers[i].metrics, METRIC_CONNECTIONS), 3);
    }
    // Connections 1, 4 and 7 are one worker's: the next three go where there is room again.
    for (size_t i = 0; i < 9; i += 3) shutdown(fds[i], SHUT_RDWR);
    wait_for_connections(1, 0);
    for (size_t i = 0; i < 3; i++) assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    for (size_t i = 0; i < 3; i++) assert_int_equal(worker_connections(&service->workers[i]), 3);
}

static void test_service__serves_unix_sockets_and_removes_its_own(void **state) {
    (void)state;
    char folder[64], path[96], text[112];
    snprintf(folder, sizeof(folder), "%s/extproc-test-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    snprintf(text, sizeof(text), "unix://%s", path);
    start_at(text);
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    service_free(service);
    service = NULL;
    assert_int_equal(rmdir(folder), 0);
}

static void test_service__closes_connections_over_the_limit(void **state) {
    (void)state;
    options.connections_most = 2;
    start();
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    int third = connect_to_service();
    uint8_t byte;
    assert_true(is_readable(third));
    assert_int_equal(recv(third, &byte, 1, 0), 0);
    assert_int_equal(metrics_read(&service->metrics, METRIC_CONNECTIONS_REFUSED), 1);
}

static void test_service__answers_garbage_with_a_goaway_and_closes(void **state) {
    (void)state;
    start();
    int fd = connect_to_service();
    const char garbage[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, garbage, sizeof(garbage) - 1, MSG_NOSIGNAL), sizeof(garbage) - 1);
    assert_int_equal(read_verdict(fd), PROBE_BROKEN);
    uint8_t rest[64];
    assert_true(is_readable(fd));
    assert_int_equal(recv(fd, rest, sizeof(rest), 0), 0);
    assert_int_equal(count_of_workers(METRIC_CONNECTIONS_BROKEN), 1);
    shutdown(fd, SHUT_RDWR);
    wait_for_connections(1, 0);
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
}

static void test_service__tells_whether_its_loops_live(void **state) {
    (void)state;
    start();
    assert_true(service_is_alive(service, clock_monotonic_ns() + LONG_NS));
    // A loop that hangs, because it waits for a lock. It takes it after it has given a sign of
    // life, so at most one more is given.
    struct worker *stuck = &service->workers[2];
    pthread_mutex_lock(&stuck->lock);
    bool is_alive = service_is_alive(service, clock_monotonic_ns() + 20 * NS_PER_MS);
    if (is_alive) is_alive = service_is_alive(service, clock_monotonic_ns() + 20 * NS_PER_MS);
    assert_false(is_alive);
    pthread_mutex_unlock(&stuck->lock);
    assert_true(service_is_alive(service, clock_monotonic_ns() + LONG_NS));
    service_stop(service);
    assert_true(is_finished());
    assert_false(service_is_alive(service, clock_monotonic_ns() + LONG_NS));
}

static struct client client;

static bool is_sent(const struct client *of) {
    return nghttp2_session_want_write(of->nghttp2) == 0;
}
static bool has_pong(const struct client *of) {
    return of->pong_count == 1;
}
static bool has_first_goaway(const struct client *of) {
    return of->goaway_count == 1;
}
static bool has_both_goaways(const struct client *of) {
    return of->goaway_count == 2;
}
static bool has_ended(const struct client *of) {
    return of->replies[0].is_ended;
}
static bool has_eof(const struct client *of) {
    return of->has_eof;
}

// A client with a stream of the processor that is open on the other side too; the stream's number.
static int32_t begin_stream(void) {
    client_init(&client, NULL, 65535);
    client.fd = connect_to_service();
    int32_t id = client_request(&client, PROCESS_PATH);
    assert_true(client_wait(&client, is_sent));  // or else the PING would overtake it
    nghttp2_submit_ping(client.nghttp2, NGHTTP2_FLAG_NONE, NULL);
    assert_true(client_wait(&client, has_pong));
    return id;
}

static void test_service__drain_lets_streams_finish(void **state) {
    (void)state;
    start();
    int32_t id = begin_stream();
    service_drain(service);
    assert_true(service_is_draining(service));
    assert_true(client_wait(&client, has_both_goaways));
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(client.goaway_last_stream, id);
    assert_int_equal(try_connect(), -1);
    client_end(&client, id);
    assert_true(client_wait(&client, has_ended));
    assert_string_equal(client_reply(&client, id)->grpc_status, "0");
    assert_true(client_wait(&client, has_eof));
    close(fds[--fd_count]);
    assert_true(is_finished());
    client_done(&client);
}

static void test_service__drain_delay_serves_but_says_that_it_will_not(void **state) {
    (void)state;
    options.drain_delay_ns = LONG_NS;
    start();
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    service_drain(service);
    assert_int_equal(check(connect_to_service()), PROBE_NOT_SERVING);
    struct pollfd finished = {.fd = service_finished_fd(service), .events = POLLIN};
    assert_int_equal(poll(&finished, 1, 0), 0);
    service_stop(service);
    assert_true(is_finished());
    assert_int_equal(try_connect(), -1);
}

static void test_service__drain_deadline_cuts_what_does_not_finish(void **state) {
    (void)state;
    options.drain_deadline_ns = 50 * NS_PER_MS;
    start();
    begin_stream();
    service_drain(service);
    assert_true(is_finished());
    assert_false(client_wait(&client, has_ended));
    assert_int_equal(count_of_workers(METRIC_CONNECTIONS), 0);
    client_done(&client);
}

// There is no connection left in the turn of the loop in which the deadline is due.
static void test_service__ends_once_when_the_deadline_comes_with_the_end(void **state) {
    (void)state;
    options.drain_deadline_ns = 0;
    start();
    service_drain(service);
    assert_true(is_finished());
}

static void test_service__stop_cuts_everything(void **state) {
    (void)state;
    start();
    begin_stream();
    service_stop(service);
    assert_true(is_finished());
    assert_false(client_wait(&client, has_first_goaway));
    assert_int_equal(connections_of_all(service), 0);
    service_drain(service);
    service_stop(service);
    client_done(&client);
}

// It can be freed in any state, and started without ever being used.
static void test_service__is_freed_while_it_serves(void **state) {
    (void)state;
    start();
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    service_free(NULL);
}

// Sends PINGs and never reads: the queues fill up, and before ours does it is cut off.
static void test_service__cuts_off_who_floods_and_does_not_read(void **state) {
    (void)state;
    options.worker_count = 1;
    start();
    int fd = connect_to_service();
    struct bytes request = probe_request();
    assert_int_equal(send(fd, request.data, request.len, MSG_NOSIGNAL), request.len);
    uint8_t pings[17 * 1024] = {0};
    for (size_t i = 0; i < sizeof(pings); i += 17) {
        pings[i + 2] = 8;
        pings[i + 3] = NGHTTP2_PING;
    }
    size_t sent = 0;
    for (;;) {
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        assert_int_equal(poll(&writable, 1, WAIT_MS), 1);
        ssize_t len = send(fd, pings + sent % 17, sizeof(pings) - 17, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (len < 0 && errno != EAGAIN) break;
        if (len > 0) sent += (size_t)len;
        assert_true(sent < (size_t)64 << 20);
    }
    wait_for_connections(0, 0);
}

static size_t errors_so_far(void) {
    return metrics_read(&service->metrics, METRIC_ACCEPT_ERRORS);
}

static struct rlimit descriptors;
static size_t fds_before;

// Takes all descriptors that are left.
static void take_descriptors(void) {
    fds_before = fd_count;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fds[fd_count++] = fd;
    struct rlimit low = {.rlim_cur = (rlim_t)fd + 8, .rlim_max = descriptors.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        assert_true(fd_count < FDS_MOST);
        fds[fd_count++] = fd;
    }
    assert_int_equal(errno, EMFILE);
}

static void give_descriptors_back(void) {
    while (fd_count > fds_before) close(fds[--fd_count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
}

// A connection that waits in the kernel's queue, because there was no descriptor for it.
static int connect_in_vain(size_t errors) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[fd_count++] = fd;
    take_descriptors();
    assert_int_equal(connect(fd, (const struct sockaddr *)&address.peer, address.peer_len), 0);
    while (errors_so_far() < errors) poll(NULL, 0, 1);
    return fd;
}

static void test_service__waits_for_descriptors_without_spinning(void **state) {
    (void)state;
    start();
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    int64_t since_ns = clock_monotonic_ns();
    int fd = connect_in_vain(3);
    size_t errors = errors_so_far();
    int64_t waited_ms = (clock_monotonic_ns() - since_ns) / NS_PER_MS;
    assert_in_range(errors, 3, waited_ms / ACCEPT_PAUSE_MS + 2);
    assert_true(service_is_alive(service, clock_monotonic_ns() + LONG_NS));
    give_descriptors_back();
    assert_int_equal(check(fd), PROBE_SERVING);
}

// Who came in the last moment is not reset when the listeners close.
static void test_service__drain_serves_who_waits_to_be_accepted(void **state) {
    (void)state;
    start();
    client_init(&client, NULL, 65535);
    client.fd = connect_in_vain(1);
    give_descriptors_back();
    service_drain(service);
    int32_t id = client_request(&client, CHECK_PATH);
    client_send(&client, id, BYTES_LITERAL("\0\0\0\0\0"));
    client_end(&client, id);
    assert_true(client_wait(&client, has_ended));
    assert_string_equal(client_reply(&client, id)->grpc_status, "0");
    close(fds[--fd_count]);
    assert_true(is_finished());
    client_done(&client);
}

static void count_entry(const struct stream_entry *entry, void *context) {
    assert_non_null(entry->state);
    ++*(size_t *)context;
}

static void test_service__shows_the_streams_of_all_workers(void **state) {
    (void)state;
    start();
    size_t count = 0;
    begin_stream();
    service_visit_streams(service, count_entry, &count);
    assert_int_equal(count, 1);
    service_stop(service);
    assert_true(is_finished());
    count = 0;
    service_visit_streams(service, count_entry, &count);
    assert_int_equal(count, 0);
    client_done(&client);
}

static void test_service__writes_the_metrics_of_all_threads(void **state) {
    (void)state;
    start();
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    assert_int_equal(check(connect_to_service()), PROBE_SERVING);
    // Once a loop has given a sign of life, it has counted what it did before.
    assert_true(service_is_alive(service, clock_monotonic_ns() + LONG_NS));
    budget.used = 77;
    struct buffer text = {0};
    assert_int_equal(service_write_metrics(service, &text), STATUS_OK);
    assert_int_equal(buffer_append_byte(&text, '\0'), STATUS_OK);
    budget.used = 0;
    const char *all = (const char *)text.data;
    assert_non_null(strstr(all, "\nextproc_streams_total 2\n"));
    assert_non_null(strstr(all, "\nextproc_connections 2\n"));
    assert_non_null(strstr(all, "\nextproc_workers 3\n"));
    assert_non_null(strstr(all, "\nextproc_body_bytes 77\n"));
    assert_non_null(strstr(all, "\nextproc_connections_limit 100\n"));
    assert_non_null(strstr(all, "\nextproc_worker_connections{worker=\"1\"} 1\n"));
    assert_non_null(strstr(all, "\nextproc_worker_cpu_seconds_total{worker=\"2\"} 0."));
    assert_non_null(strstr(all, "\nextproc_message_duration_seconds_count 2\n"));
    assert_non_null(strstr(all, "\nextproc_drain_state{state=\"serving\"} 1\n"));
    assert_non_null(strstr(all, "\nextproc_drain_state{state=\"draining\"} 0\n"));
    assert_non_null(strstr(all, "\n# TYPE gen_ai_client_token_usage histogram\n"));
    buffer_done(&text);
}
