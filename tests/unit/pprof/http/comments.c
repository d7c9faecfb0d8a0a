// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/comments.c"

static struct buffer out;

static int setup(void **state) {
    (void)state;
    static const char *const names[] = {"POD_NAME", "POD_NAMESPACE", "NODE_NAME"};
    for (size_t i = 0; i < COUNT_OF(names); i++) unsetenv(names[i]);
    comments_set_version(NULL);
    out = (struct buffer){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buffer_done(&out);
    return 0;
}

static const char *write_all(void) {
    out.len = 0;
    assert_int_equal(comments_write(7, &out), STATUS_OK);
    assert_int_equal(buffer_append_byte(&out, '\0'), STATUS_OK);
    return (const char *)out.data;
}

static void test_comments__the_program_is_named_by_version_and_build_id(void **state) {
    (void)state;
    const char *text = write_all();
    assert_memory_equal(text, "program: build_id=", 18);
    comments_set_version("v1.2-3");
    text = write_all();
    assert_memory_equal(text, "program: version=v1.2-3 build_id=", 33);
    assert_non_null(strstr(text, images_get()->list[0].build_id));
}

static void test_comments__pod_and_node_are_named_where_they_are_known(void **state) {
    (void)state;
    assert_null(strstr(write_all(), "pod="));
    setenv("POD_NAME", "extproc-0", 1);
    setenv("NODE_NAME", "", 1);
    const char *text = write_all();
    assert_non_null(strstr(text, "container: pod=extproc-0"));
    assert_null(strstr(text, "node="));
}

static void test_comments__rates_and_losses_are_always_there(void **state) {
    (void)state;
    const char *text = write_all();
    assert_non_null(strstr(text, "\nrates: cpu_hz=100 "));
    assert_non_null(strstr(text, "\nlost since the start: ticks=0 "));
    assert_non_null(strstr(text, " wait_samples=0\n"));
    assert_non_null(strstr(text, "\nlost in this profile: stacks_cut=7\n"));
}

static void test_comments__a_long_value_is_cut_and_none_breaks_its_line(void **state) {
    (void)state;
    char value[1000] = {0};
    memset(value, 'p', sizeof value - 1);
    setenv("POD_NAME", value, 1);
    const char *text = write_all();
    const char *line = strstr(text, "container: ");
    assert_non_null(line);
    assert_true(strcspn(line, "\n") < 600);
    for (size_t lines = 0; *text != '\0'; lines++) {
        assert_in_range(lines, 0, 4);
        assert_non_null(strchr("pcrl", *text));  // program, container, rates, lost
        text = strchr(text, '\n') + 1;
    }
}
