// SPDX-License-Identifier: Apache-2.0
// With DISABLE_PPROF in the environment nothing happens, which is asked once a process: so these
// tests have a program of their own.
#include "pprof/pprof.c"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

static int setup_all(void **state) {
    (void)state;
    return setenv("DISABLE_PPROF", "", 1);
}

static size_t entries_of(const char *folder) {
    size_t count = 0;
    DIR *open_folder = opendir(folder);
    assert_non_null(open_folder);
    while (readdir(open_folder) != NULL) count++;
    closedir(open_folder);
    return count;
}

static void test_disabled__there_is_no_thread_socket_timer_or_handler(void **state) {
    (void)state;
    char message[PPROF_MESSAGE_BYTES] = "untouched";
    size_t files = entries_of("/proc/self/fd");
    size_t threads = entries_of("/proc/self/task");
    assert_true(pprof_is_disabled());
    struct pprof_options options = {.address = "localhost:0"};
    assert_int_equal(pprof_start(&options, message), 0);
    options.address = "nonsense";
    assert_int_equal(pprof_start(&options, message), 0);
    assert_string_equal(message, "untouched");
    assert_int_equal(entries_of("/proc/self/fd"), files);
    assert_int_equal(entries_of("/proc/self/task"), threads);
    struct sigaction action;
    assert_int_equal(sigaction(SIGPROF, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, SIG_DFL);
    struct pprof_statistics statistics;
    pprof_read_statistics(&statistics);
    assert_false(statistics.is_serving);
    assert_int_equal(statistics.address_count, 0);
    pprof_stop();
}

static void *return_argument(void *argument) {
    return argument;
}

static void test_disabled__threads_run_and_are_not_listed(void **state) {
    (void)state;
    pthread_t thread;
    void *result;
    int argument;
    assert_int_equal(pthread_create(&thread, NULL, return_argument, &argument), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &argument);
    assert_int_equal(thread_count(), 0);
}

// Even if it is taken back later: what was not there from the start would not be true.
static void test_disabled__it_stays_so(void **state) {
    (void)state;
    unsetenv("DISABLE_PPROF");
    assert_true(pprof_is_disabled());
}
