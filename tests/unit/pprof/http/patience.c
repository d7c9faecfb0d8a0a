// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static bool has_no_memory;

static void *failing_malloc(size_t size) {
    return has_no_memory ? NULL : malloc(size);
}

#define malloc failing_malloc
#include "pprof/http/patience.c"
#undef malloc

#include <poll.h>
#include <unistd.h>

static int ends[2], other_ends[2];

static int setup(void **state) {
    (void)state;
    has_no_memory = false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other_ends) != 0) return -1;
    return patience_start() == STATUS_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    patience_stop();
    assert_null(first);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(other_ends[i]);
    }
    return 0;
}

// Waits for the end of the stream as its peer sees it; bounded by the runner.
static void wait_for_end(int peer) {
    char byte;
    while (read(peer, &byte, 1) > 0) {}
}

static struct patience *watch_socket(int socket) {
    static const struct sockaddr_in loopback = {.sin_family = AF_INET,
                                                .sin_addr.s_addr = 0x0100007f};
    return patience_new(socket, (const struct sockaddr *)&loopback);
}

// As if the rest of its time had gone by.
static void hurry(struct patience *patience) {
    plain_lock(&lock);
    assert_int_not_equal(patience->deadline_ns, INT64_MAX);
    patience->deadline_ns = clock_monotonic_ns();
    pthread_cond_signal(&changed);
    plain_unlock(&lock);
}

static bool is_open(int peer) {
    struct pollfd watched = {.fd = peer, .events = POLLRDHUP};
    return poll(&watched, 1, 0) == 0;
}

static void test_patience__a_connection_past_its_time_is_shut_down(void **state) {
    (void)state;
    struct patience *patience = watch_socket(ends[0]);
    struct patience *calm = watch_socket(other_ends[0]);
    hurry(patience);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
    patience_free(calm);
}

// Would catch: a thread that sleeps until the deadline it knew first.
static void test_patience__a_nearer_deadline_wakes_the_watcher(void **state) {
    (void)state;
    struct patience *late = watch_socket(other_ends[0]);
    patience_set(late, PATIENCE_ANSWER);
    struct patience *patience = watch_socket(ends[0]);
    hurry(patience);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
    patience_free(late);
}

// The one that is put off is still open when another of the same time has ended.
static void test_patience__work_takes_the_deadline_away(void **state) {
    (void)state;
    struct patience *works = watch_socket(other_ends[0]);
    patience_set(works, PATIENCE_WORK);
    assert_int_equal(works->deadline_ns, INT64_MAX);
    struct patience *patience = watch_socket(ends[0]);
    hurry(patience);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
    patience_free(works);
}

// Would catch: a client that has five seconds from each line on.
static void test_patience__a_request_line_gives_no_more_time(void **state) {
    (void)state;
    struct patience *patience = watch_socket(ends[0]);
    int64_t deadline_ns = patience->deadline_ns;
    patience_set(patience, PATIENCE_REQUEST);
    assert_int_equal(patience->deadline_ns, deadline_ns);
    // The next request of a kept connection has its own five seconds.
    patience_set(patience, PATIENCE_WORK);
    patience_set(patience, PATIENCE_ANSWER);
    patience_set(patience, PATIENCE_IDLE);
    int64_t idle_ns = patience->deadline_ns;
    patience_set(patience, PATIENCE_REQUEST);
    assert_true(patience->deadline_ns < idle_ns && patience->deadline_ns > deadline_ns);
    patience_free(patience);
}

static void test_patience__a_freed_one_is_left_alone(void **state) {
    (void)state;
    patience_free(watch_socket(other_ends[0]));
    struct patience *patience = watch_socket(ends[0]);
    hurry(patience);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
}

static void test_patience__without_memory_a_connection_is_not_watched(void **state) {
    (void)state;
    has_no_memory = true;
    assert_null(watch_socket(ends[0]));
    patience_set(NULL, PATIENCE_WORK);
    patience_free(NULL);
}

static void test_patience__they_may_leave_in_any_order(void **state) {
    (void)state;
    enum { COUNT = 11 };
    struct patience *all[COUNT];
    for (int i = 0; i < COUNT; i++) all[i] = watch_socket(ends[0]);
    for (int i = 0; i < COUNT; i++) {
        patience_free(all[i * 4 % COUNT]);
        int left = 0;
        for (const struct patience *one = first; one != NULL; one = one->next) left++;
        assert_int_equal(left, COUNT - 1 - i);
    }
}

static void test_patience__it_can_be_stopped_and_started_again(void **state) {
    (void)state;
    patience_stop();
    assert_int_equal(patience_start(), STATUS_OK);
    struct patience *patience = watch_socket(ends[0]);
    hurry(patience);
    wait_for_end(ends[1]);
    patience_free(patience);
}

// A socket that is nobody's: what matters here is who is marked. `host`: the last byte of 10.0.0.X.
static struct patience *come_from(uint8_t host) {
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(0x0a000000 + host)};
    return patience_new(-1, (const struct sockaddr *)&address);
}

static struct patience *crowd[PATIENCE_CONNECTIONS_MOST];

static void fill(enum patience_phase phase) {
    for (int i = 0; i < PATIENCE_CONNECTIONS_MOST; i++) {
        crowd[i] = watch_socket(-1);
        if (phase != PATIENCE_REQUEST) patience_set(crowd[i], phase);
        assert_false(crowd[i]->is_ended);
    }
}

static void empty(void) {
    for (int i = 0; i < PATIENCE_CONNECTIONS_MOST; i++) patience_free(crowd[i]);
}

static void test_patience__the_oldest_unfinished_request_makes_room(void **state) {
    (void)state;
    fill(PATIENCE_REQUEST);
    patience_set(crowd[0], PATIENCE_WORK);
    patience_set(crowd[1], PATIENCE_ANSWER);
    struct patience *newcomers[2] = {watch_socket(-1), watch_socket(-1)};
    assert_false(crowd[0]->is_ended);
    assert_false(crowd[1]->is_ended);
    assert_true(crowd[2]->is_ended);
    assert_true(crowd[3]->is_ended);
    assert_false(crowd[4]->is_ended);
    for (int i = 0; i < 2; i++) {
        assert_false(newcomers[i]->is_ended);
        patience_free(newcomers[i]);
    }
    empty();
}

// Would catch: clients that take a byte a minute, as many as there are places.
static void test_patience__where_all_are_answered_the_oldest_answer_makes_room(void **state) {
    (void)state;
    fill(PATIENCE_ANSWER);
    struct patience *newcomer = watch_socket(-1);
    assert_true(crowd[0]->is_ended);
    assert_false(crowd[1]->is_ended);
    assert_false(newcomer->is_ended);
    patience_free(newcomer);
    empty();
}

static void test_patience__where_all_are_at_work_the_newcomer_has_to_go(void **state) {
    (void)state;
    fill(PATIENCE_WORK);
    struct patience *newcomer = watch_socket(-1);
    assert_true(newcomer->is_ended);
    patience_free(newcomer);
    empty();
}

// Would catch: one peer that takes the places of the others.
static void test_patience__a_peer_that_has_its_share_makes_room_itself(void **state) {
    (void)state;
    struct patience *other = come_from(1);
    for (int i = 0; i < PATIENCE_PER_PEER_MOST; i++) crowd[i] = come_from(2);
    struct patience *newcomer = come_from(2);
    assert_false(other->is_ended);
    assert_true(crowd[0]->is_ended);
    assert_false(newcomer->is_ended);
    patience_free(newcomer);
    patience_free(other);
    for (int i = 0; i < PATIENCE_PER_PEER_MOST; i++) patience_free(crowd[i]);
}
