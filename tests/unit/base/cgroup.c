// SPDX-License-Identifier: Apache-2.0
#include "base/cgroup.c"

struct seen {
    char folders[512];
    int most;
};

static bool note(const char *folder, void *context) {
    struct seen *seen = context;
    strcat(seen->folders, folder);
    strcat(seen->folders, " ");
    return --seen->most != 0;
}

static void expect(const char *groups, const char *controller, int most, const char *folders) {
    struct seen seen = {.most = most};
    cgroup_visit_at("/r", groups, controller, note, &seen);
    assert_string_equal(seen.folders, folders);
}

static void test_cgroup__visits_from_the_own_folder_up_to_the_mount(void **state) {
    (void)state;
    expect("4:memory:/a/b\n", "memory", 0, "/r/memory/a/b /r/memory/a /r/memory ");
    expect("4:memory:/a/b\n", "memory", 2, "/r/memory/a/b /r/memory/a ");
    expect("4:cpu,memory:/\n", "memory", 0, "/r/memory/ /r/memory ");
    expect("4:cpu,memory:/a\n", "cpuset", 0, "");
}

static void test_cgroup__visits_version_2_at_either_mount(void **state) {
    (void)state;
    expect("0::/a\n", "memory", 0, "/r/a /r /r/unified/a /r/unified ");
    expect("0::/a\n", "memory", 1, "/r/a ");
    // Both versions, until it is enough.
    expect("0::/\n3:memory:/m\n", "memory", 5, "/r/ /r /r/unified/ /r/unified /r/memory/m ");
}

static void test_cgroup__ignores_lines_that_are_none(void **state) {
    (void)state;
    expect("", "cpu", 0, "");
    expect("\nnonsense\n4:cpu\n", "cpu", 0, "");
}

static void test_cgroup__reads_the_start_of_a_file(void **state) {
    (void)state;
    char text[CGROUP_TEXT_BYTES];
    assert_true(cgroup_read("/proc/self", "comm", text));
    assert_non_null(strchr(text, '\n'));
    assert_false(cgroup_read("/proc/self", "nothing", text));
}
