// SPDX-License-Identifier: Apache-2.0
#include "extproc/memory.c"

#include <stdio.h>
#include <sys/stat.h>

static char root[64];

static void put(const char *folder, const char *file, const char *text) {
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", root, folder);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/%s", root, folder, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static size_t least(const char *groups) {
    size_t least_bytes = SIZE_MAX;
    cgroup_visit_at(root, groups, "memory", take_least, &least_bytes);
    return least_bytes;
}

static void test_memory__is_the_least_limit_up_to_the_mount(void **state) {
    (void)state;
    snprintf(root, sizeof(root), "%s/extproc-test-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(root));
    put("a", "memory.max", "max\n");
    assert_int_equal(least("0::/a\n"), SIZE_MAX);
    put("a", "memory.max", "536870912\n");
    put("a/b", "memory.max", "max\n");
    assert_int_equal(least("0::/a/b\n"), 536870912);
    put("a/b", "memory.max", "1048576\n");
    assert_int_equal(least("0::/a/b\n"), 1048576);
    put("memory", "memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(least("4:memory:/\n"), SIZE_MAX);
    put("memory", "memory.limit_in_bytes", "1000\n");
    assert_int_equal(least("4:memory:/\n0::/a\n"), 1000);
    assert_int_equal(least("4:memory:/not/here\n"), 1000);
    assert_int_equal(least(""), SIZE_MAX);
    char command[96];
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}
