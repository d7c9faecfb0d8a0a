// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/port.c"

#include <stdlib.h>

#include "tests/unit/pprof/client.h"

static char path[] = "/tmp/switch-XXXXXX";
static char message[PPROF_MESSAGE_BYTES];

static int setup_all(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown_all(void **state) {
    (void)state;
    return unlink(path);
}

static int teardown(void **state) {
    (void)state;
    port_stop();
    return 0;
}

static void turn(const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void wait_until_open(bool is_open) {
    struct listeners now;
    do {  // bounded by the runner
        nanosleep(&(const struct timespec){.tv_nsec = 10 * NS_PER_MS}, NULL);
        port_read(&now);
    } while ((now.count != 0) != is_open);
}

static void test_port__only_a_plain_on_opens_it(void **state) {
    (void)state;
    static const char *const on[] = {"on", "On\n", " true\r\n", "1", "ENABLED"};
    static const char *const off[] = {"",    "off", "0",      "false", "disabled", "on off",
                                      "yes", "o",   "on\non", "\n",    "o\0n",     "11"};
    for (size_t i = 0; i < COUNT_OF(on); i++) assert_true(is_on(bytes_of_text(on[i])));
    for (size_t i = 0; i < COUNT_OF(off); i++) assert_false(is_on(bytes_of_text(off[i])));
}

static void test_port__a_file_that_is_not_there_keeps_it_closed(void **state) {
    (void)state;
    switch_file = "/nonexistent";
    assert_false(is_switched_on());
    switch_file = "/";
    assert_false(is_switched_on());
    turn("on");
    switch_file = path;
    assert_true(is_switched_on());
}

static void test_port__the_switch_opens_and_closes_it_again_and_again(void **state) {
    (void)state;
    turn("off");
    assert_int_equal(port_start("127.0.0.1:0", path, message), 0);
    for (int i = 0; i < 2; i++) {
        turn("on");
        wait_until_open(true);
        struct listeners now;
        port_read(&now);
        struct buffer answer = {0};
        const char *text = client_ask(
            now.addresses[0],
            "GET /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            &answer);
        assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
        buffer_done(&answer);
        turn("off");
        wait_until_open(false);
    }
}

static void test_port__an_address_that_is_none_is_told_though_it_is_closed(void **state) {
    (void)state;
    turn("off");
    assert_int_equal(port_start("nonsense", path, message), -EINVAL);
    assert_non_null(strstr(message, "nonsense"));
}

// Would catch: a port that stays closed because it was taken when the switch was turned.
static void test_port__a_taken_port_is_tried_again(void **state) {
    (void)state;
    struct listeners other;
    assert_int_equal(listeners_open("127.0.0.1:0", &other, message), 0);
    static char taken[PPROF_ADDRESS_BYTES];
    memcpy(taken, other.addresses[0], sizeof taken);
    turn("on");
    assert_int_equal(port_start(taken, path, message), 0);
    listeners_close(&other);
    wait_until_open(true);
}
