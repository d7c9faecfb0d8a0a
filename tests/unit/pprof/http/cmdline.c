// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/cmdline.c"

#include <stdio.h>

static void test_cmdline__the_arguments_are_joined_by_nul_without_one_at_the_end(void **state) {
    (void)state;
    char expected[4096];
    FILE *file = fopen("/proc/self/cmdline", "re");
    size_t len = fread(expected, 1, sizeof expected, file);
    fclose(file);
    assert_int_equal(expected[len - 1], 0);
    struct answer answer = {0};
    endpoint_answer_cmdline(&(struct request){.method = "GET"}, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
    assert_string_equal(answer.file_name, "");
    assert_int_equal(answer.body.len, len - 1);
    assert_memory_equal(answer.body.data, expected, len - 1);
    answer_done(&answer);
}

// More than one read, and no more than the limit.
static void test_cmdline__a_long_file_is_read_whole_or_refused(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    static char bytes[10000];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(write(ends[1], bytes, sizeof bytes), sizeof bytes);
    close(ends[1]);
    struct buffer whole = {.limit = 20000};
    assert_int_equal(read_all(ends[0], &whole), STATUS_OK);
    assert_int_equal(whole.len, sizeof bytes);
    close(ends[0]);
    whole.len = 0;
    whole.limit = 100;
    assert_int_equal(read_all(ends[0], &whole), STATUS_TOO_LARGE);
    whole.limit = 20000;
    assert_int_equal(read_all(-1, &whole), STATUS_SYSTEM);
    buffer_done(&whole);
}
