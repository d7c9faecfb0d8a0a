// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cgroup.h"

// Both in microseconds. 0: unlimited.
static size_t cpus_of(int64_t quota, int64_t period) {
    if (quota <= 0 || period <= 0) return 0;
    return (size_t)((quota - 1) / period + 1);
}

// Version 2, cpu.max: "max 100000" or "150000 100000".
static size_t parse_cpu_max(const char *text) {
    char *end;
    int64_t quota = strtoll(text, &end, 10);
    if (end == text) return 0;
    return cpus_of(quota, strtoll(end, NULL, 10));
}

static size_t smaller(size_t a, size_t b) {
    if (a == 0) return b;
    if (b == 0) return a;
    return a < b ? a : b;
}

// The quota that one cgroup folder sets; 0: none.
static size_t folder_cpus(const char *folder) {
    char quota[CGROUP_TEXT_BYTES], period[CGROUP_TEXT_BYTES];
    if (cgroup_read(folder, "cpu.max", quota)) return parse_cpu_max(quota);
    if (!cgroup_read(folder, "cpu.cfs_quota_us", quota)) return 0;
    if (!cgroup_read(folder, "cpu.cfs_period_us", period)) return 0;
    return cpus_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

// The tightest on the way up counts.
static bool take_smallest(const char *folder, void *context) {
    size_t *cpus = context;
    *cpus = smaller(*cpus, folder_cpus(folder));
    return true;
}

// CPU_ALLOC would be for more than 1024 CPUs; past that the kernel refuses, and 1024 will do.
static size_t affinity_cpus(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 0;
    return (size_t)CPU_COUNT(&set);
}

size_t cpus_count(void) {
    size_t quota = 0;
    cgroup_visit("cpu", take_smallest, &quota);
    size_t cpus = smaller(affinity_cpus(), quota);
    return cpus != 0 ? cpus : 1;
}
