// SPDX-License-Identifier: Apache-2.0
#include "pprof/pprof.c"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/emulated.h"
#include "tests/unit/pprof/client.h"
#include "tests/unit/pprof/reader.h"

static char message[PPROF_MESSAGE_BYTES];
static struct pprof_statistics statistics;
static struct buffer answer;

static int setup_all(void **state) {
    (void)state;
    unsetenv("DISABLE_PPROF");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    pprof_stop();
    buffer_done(&answer);
    return 0;
}

static size_t entries_of(const char *folder) {
    size_t count_of_entries = 0;
    DIR *open_folder = opendir(folder);
    assert_non_null(open_folder);
    while (readdir(open_folder) != NULL) count_of_entries++;
    closedir(open_folder);
    return count_of_entries;
}

static size_t open_files(void) {
    return entries_of("/proc/self/fd");
}

static size_t threads(void) {
    return entries_of("/proc/self/task");
}

static void start(const char *address) {
    int error = pprof_start(&(struct pprof_options){.address = address}, message);
    if (error != 0) print_error("%s\n", message);
    assert_int_equal(error, 0);
    pprof_read_statistics(&statistics);
}

static const char *ask(const char *path) {
    char request[256];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    return client_ask(statistics.addresses[0], request, &answer);
}

static void test_pprof__it_serves_where_it_says_and_counts(void **state) {
    (void)state;
    start("localhost:0");
    assert_true(statistics.is_serving);
    assert_in_range(statistics.address_count, 1, 2);
    uint64_t before = statistics.requests;
    for (size_t i = 0; i < statistics.address_count; i++) {
        static const char request[] =
            "GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        const char *text = client_ask(statistics.addresses[i], request, &answer);
        assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
        assert_non_null(strstr(text, "<title>/debug/pprof/</title>"));
    }
    assert_memory_equal(ask("/nosuch"), "HTTP/1.1 404 ", 13);
    pprof_read_statistics(&statistics);
    assert_int_equal(statistics.requests, before + statistics.address_count + 1);
}

// Would catch: a thread, socket or event left behind by stop, or a second start that fails.
static void test_pprof__it_can_be_stopped_and_started_again_and_leaves_nothing(void **state) {
    (void)state;
    SKIP_EMULATED("has threads of its own, which end late");
    start("localhost:0");
    pprof_stop();
    size_t files = open_files();
    size_t tasks = threads();
    for (int i = 0; i < 3; i++) {
        start("localhost:0");
        assert_memory_equal(ask("/debug/pprof/cmdline"), "HTTP/1.1 200 OK\r\n", 17);
        pprof_stop();
        assert_int_equal(open_files(), files);
        assert_int_equal(threads(), tasks);
    }
    pprof_read_statistics(&statistics);
    assert_false(statistics.is_serving);
    pprof_stop();
}

static void test_pprof__a_taken_port_is_told_and_leaves_nothing(void **state) {
    (void)state;
    SKIP_EMULATED("has threads of its own, which end late");
    char address[64];
    struct listeners other;
    assert_int_equal(listeners_open("127.0.0.1:0", &other, message), 0);
    snprintf(address, sizeof address, "localhost:%s", strrchr(other.addresses[0], ':') + 1);
    size_t files = open_files();
    size_t tasks = threads();
    assert_int_equal(pprof_start(&(struct pprof_options){.address = address}, message),
                     -EADDRINUSE);
    assert_non_null(strstr(message, address));
    assert_int_equal(open_files(), files);
    assert_int_equal(threads(), tasks);
    pprof_read_statistics(&statistics);
    assert_false(statistics.is_serving);
    assert_int_equal(statistics.address_count, 0);
    pprof_stop();
    listeners_close(&other);
    start(address);  // and when it is free again, it works
}

static void test_pprof__what_is_no_address_is_told(void **state) {
    (void)state;
    assert_int_equal(pprof_start(&(struct pprof_options){.address = "nonsense"}, message), -EINVAL);
    assert_non_null(strstr(message, "nonsense"));
}

struct client {
    char address[PPROF_ADDRESS_BYTES];
    struct buffer text;
};

static void *ask_for_a_long_profile(void *argument) {
    struct client *client = argument;
    static const char request[] =
        "GET /debug/pprof/profile?seconds=300 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client_ask(client->address, request, &client->text);
    return NULL;
}

// Its client gets what there is.
static void test_pprof__stop_ends_a_profile_under_way(void **state) {
    (void)state;
    start("127.0.0.1:0");
    char path[64];
    snprintf(path, sizeof path, "/debug/pprof/symbol?%p", (void *)pprof_start);
    assert_non_null(strstr(ask(path), "pprof_start"));  // reads the debug data: that takes its time
    struct client client = {0};
    memcpy(client.address, statistics.addresses[0], sizeof client.address);
    uint64_t before = statistics.ticks_recorded;
    pthread_t thread;
    pthread_create(&thread, NULL, ask_for_a_long_profile, &client);
    // Until it runs: with a window open this thread's own time is sampled.
    do {
        pprof_read_statistics(&statistics);
    } while (statistics.ticks_recorded == before);
    pprof_stop();
    pthread_join(thread, NULL);
    assert_memory_equal(client.text.data, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr((const char *)client.text.data, "filename=\"profile\""));
    client_keep_body(&client.text);
    struct reader_profile read = reader_read(buffer_bytes(&client.text));
    assert_true(read.sample_count != 0);
    reader_done(&read);
    buffer_done(&client.text);
}
