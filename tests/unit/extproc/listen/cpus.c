// SPDX-License-Identifier: Apache-2.0
// Quotas in a made-up tree of cgroup folders.
#include "extproc/listen/cpus.c"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static int setup(void **state) {
    (void)state;
    snprintf(root, sizeof(root), "%s/extproc-test-XXXXXX", P_tmpdir);
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *found, int flag, struct FTW *where) {
    (void)found, (void)flag, (void)where;
    return remove(path);
}

static int teardown(void **state) {
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// Makes the file and the folders above it.
static void put(const char *file, const char *text) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, file);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static size_t quota_of(const char *cgroups) {
    size_t quota = 0;
    cgroup_visit_at(root, cgroups, "cpu", take_smallest, &quota);
    return quota;
}

static void test_cpus__rounds_a_version_2_quota_up(void **state) {
    (void)state;
    const struct {
        const char *text;
        size_t cpus;
    } rows[] = {
        {"150000 100000\n", 2}, {"100000 100000\n", 1},
        {"100001 100000\n", 2}, {"1000 100000\n", 1},
        {"800000 100000\n", 8}, {"25000 50000\n", 1},
        {"max 100000\n", 0},    {"", 0},
        {"150000\n", 0},        {"-1 100000\n", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put("cpu.max", rows[i].text);
        assert_int_equal(quota_of("0::/\n"), rows[i].cpus);
    }
}

static void test_cpus__obeys_the_tightest_quota_on_the_way_up(void **state) {
    (void)state;
    put("pods/one/cpu.max", "400000 100000\n");
    put("pods/cpu.max", "300000 100000\n");
    assert_int_equal(quota_of("0::/pods/one\n"), 3);
    put("pods/one/cpu.max", "200000 100000\n");
    assert_int_equal(quota_of("0::/pods/one\n"), 2);
    put("cpu.max", "max 100000\n");
    assert_int_equal(quota_of("0::/pods/one\n"), 2);
    assert_int_equal(quota_of("0::/pods/oneself\n"), 3);
}

static void test_cpus__reads_version_1_under_its_controller(void **state) {
    (void)state;
    put("cpu/docker/abc/cpu.cfs_quota_us", "250000\n");
    put("cpu/docker/abc/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota_of("5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n0::/\n"), 3);
    assert_int_equal(quota_of("4:cpuacct,cpu:/docker/abc\n"), 3);
    assert_int_equal(quota_of("4:cpuacct,cpuset:/docker/abc\n"), 0);
    put("cpu/docker/abc/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(quota_of("4:cpu,cpuacct:/docker/abc\n"), 0);
}

// In a container the path is the host's, and the mount shows the own cgroup as its root.
static void test_cpus__reads_the_mount_where_the_path_leads_nowhere(void **state) {
    (void)state;
    put("cpu/cpu.cfs_quota_us", "150000\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota_of("4:cpu,cpuacct:/kubepods/burstable/pod1/abc\n"), 2);
}

static void test_cpus__finds_version_2_beside_version_1(void **state) {
    (void)state;
    put("unified/a/cpu.max", "200000 100000\n");
    assert_int_equal(quota_of("1:name=systemd:/a\n0::/a\n"), 2);
}

static void test_cpus__ignores_what_is_no_cgroup_file(void **state) {
    (void)state;
    assert_int_equal(quota_of(""), 0);
    assert_int_equal(quota_of("\n\nnonsense\n4:cpu\n:::\n"), 0);
}

static void test_cpus__is_never_none(void **state) {
    (void)state;
    cpu_set_t set;
    CPU_ZERO(&set);
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    assert_in_range(cpus_count(), 1, CPU_COUNT(&set));
}
