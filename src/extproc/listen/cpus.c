// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/cpus.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 4096 };

// The start of a file as text; false: it can't be read.
static bool read_text(const char *path, char text[FILE_BYTES]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t len = read(fd, text, FILE_BYTES - 1);
    close(fd);
    if (len < 0) return false;
    text[len] = '\0';
    return true;
}

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
    char path[PATH_MAX + 32], quota[FILE_BYTES], period[FILE_BYTES];
    snprintf(path, sizeof(path), "%s/cpu.max", folder);
    if (read_text(path, quota)) return parse_cpu_max(quota);
    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
    if (!read_text(path, quota)) return 0;
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
    if (!read_text(path, period)) return 0;
    return cpus_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

// The quotas of a cgroup and of all above it, up to the mount. In a container without a cgroup
// namespace the path names folders that aren't there; the mount itself is then the own cgroup.
static size_t path_cpus(const char *mount, const char *path) {
    char folder[PATH_MAX];
    int len = snprintf(folder, sizeof(folder), "%s%s", mount, path);
    if (len < 0 || (size_t)len >= sizeof(folder)) return 0;
    size_t cpus = 0;
    for (size_t mount_len = strlen(mount);;) {
        cpus = smaller(cpus, folder_cpus(folder));
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < mount_len) return cpus;
        *slash = '\0';
    }
}

static bool has_controller(const char *controllers, size_t len, const char *name) {
    size_t name_len = strlen(name);
    while (len >= name_len) {
        const char *comma = memchr(controllers, ',', len);
        size_t one = comma != NULL ? (size_t)(comma - controllers) : len;
        if (one == name_len && memcmp(controllers, name, one) == 0) return true;
        if (comma == NULL) return false;
        controllers += one + 1;
        len -= one + 1;
    }
    return false;
}

// `cgroups` is /proc/self/cgroup: lines of "number:controllers:path", for version 2 "0::path".
// `root` is where the hierarchies are mounted: version 2 itself or in `unified`, version 1 in
// `cpu`.
static size_t quota_cpus(const char *root, char *cgroups) {
    size_t cpus = 0;
    char mount[PATH_MAX], *rest;
    for (char *line = strtok_r(cgroups, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL) continue;
        controllers++;
        size_t len = (size_t)(path++ - controllers);
        if (len == 0) {
            cpus = smaller(cpus, path_cpus(root, path));
            snprintf(mount, sizeof(mount), "%s/unified", root);
            cpus = smaller(cpus, path_cpus(mount, path));
        }
        if (has_controller(controllers, len, "cpu")) {
            snprintf(mount, sizeof(mount), "%s/cpu", root);
            cpus = smaller(cpus, path_cpus(mount, path));
        }
    }
    return cpus;
}

// CPU_ALLOC would be for more than 1024 CPUs; past that the kernel refuses, and 1024 will do.
static size_t affinity_cpus(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 0;
    return (size_t)CPU_COUNT(&set);
}

size_t cpus_count(void) {
    char cgroups[FILE_BYTES];
    size_t quota = read_text("/proc/self/cgroup", cgroups) ? quota_cpus("/sys/fs/cgroup", cgroups)
                                                           : 0;
    size_t cpus = smaller(affinity_cpus(), quota);
    return cpus != 0 ? cpus : 1;
}
