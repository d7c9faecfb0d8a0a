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

static bool is_open(int peer) {
    struct pollfd watched = {.fd = peer, .events = POLLRDHUP};
    return poll(&watched, 1, 0) == 0;
}

static void test_patience__a_connection_past_its_time_is_shut_down(void **state) {
    (void)state;
    struct patience *patience = patience_new(ends[0]);
    struct patience *calm = patience_new(other_ends[0]);
    patience_set(calm, 3600);
    patience_set(patience, 1);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
    patience_free(calm);
}

// Would catch: a thread that sleeps until the deadline it knew first.
static void test_patience__a_nearer_deadline_wakes_the_watcher(void **state) {
    (void)state;
    struct patience *late = patience_new(other_ends[0]);
    patience_set(late, 3600);
    struct patience *patience = patience_new(ends[0]);
    patience_set(patience, 3600);
    patience_set(patience, 1);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
    patience_free(late);
}

// The one that is put off is still open when another of the same time has ended.
static void test_patience__a_deadline_that_is_put_off_or_taken_back_does_not_come(void **state) {
    (void)state;
    struct patience *put_off = patience_new(other_ends[0]);
    patience_set(put_off, 1);
    patience_set(put_off, 0);
    struct patience *patience = patience_new(ends[0]);
    patience_set(patience, 1);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
    patience_free(put_off);
}

static void test_patience__a_freed_one_is_left_alone(void **state) {
    (void)state;
    struct patience *freed = patience_new(other_ends[0]);
    patience_set(freed, 1);
    patience_free(freed);
    struct patience *patience = patience_new(ends[0]);
    patience_set(patience, 1);
    wait_for_end(ends[1]);
    assert_true(is_open(other_ends[1]));
    patience_free(patience);
}

static void test_patience__without_memory_a_connection_is_not_watched(void **state) {
    (void)state;
    has_no_memory = true;
    assert_null(patience_new(ends[0]));
    patience_set(NULL, 1);
    patience_free(NULL);
}

// Would catch: a list that loses or doubles one when its neighbours go.
static void test_patience__they_may_leave_in_any_order(void **state) {
    (void)state;
    enum { COUNT = 11 };
    struct patience *all[COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i] = patience_new(ends[0]);
        patience_set(all[i], 3600);
    }
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
    struct patience *patience = patience_new(ends[0]);
    patience_set(patience, 1);
    wait_for_end(ends[1]);
    patience_free(patience);
}
