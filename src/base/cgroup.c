// SPDX-License-Identifier: Apache-2.0
#include "base/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct visitor {
    bool (*visit)(const char *folder, void *context);
    void *context;
};

bool cgroup_read(const char *folder, const char *file, char text[CGROUP_TEXT_BYTES]) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t len = read(fd, text, CGROUP_TEXT_BYTES - 1);
    close(fd);
    if (len < 0) return false;
    text[len] = '\0';
    return true;
}

// From the group's folder up to the mount.
static bool visit_path(const struct visitor *visitor, const char *mount, const char *group) {
    char folder[PATH_MAX];
    int len = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (len < 0 || (size_t)len >= sizeof folder) return true;
    for (size_t mount_len = strlen(mount);;) {
        if (!visitor->visit(folder, visitor->context)) return false;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < mount_len) return true;
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

// A line of /proc/self/cgroup: "number:controllers:path", for version 2 "0::path".
static bool visit_line(const struct visitor *visitor, const char *root, char *line,
                       const char *controller) {
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL) return true;
    controllers++;
    size_t len = (size_t)(group++ - controllers);
    char mount[PATH_MAX];
    snprintf(mount, sizeof mount, "%s/%s", root, len == 0 ? "unified" : controller);
    if (len == 0) {
        return visit_path(visitor, root, group) && visit_path(visitor, mount, group);
    }
    return !has_controller(controllers, len, controller) || visit_path(visitor, mount, group);
}

void cgroup_visit_at(const char *root, const char *groups, const char *controller,
                     bool (*visit)(const char *folder, void *context), void *context) {
    const struct visitor visitor = {visit, context};
    char text[CGROUP_TEXT_BYTES], *rest;
    snprintf(text, sizeof text, "%s", groups);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (!visit_line(&visitor, root, line, controller)) return;
    }
}

void cgroup_visit(const char *controller, bool (*visit)(const char *folder, void *context),
                  void *context) {
    char groups[CGROUP_TEXT_BYTES];
    if (!cgroup_read("/proc/self", "cgroup", groups)) return;
    cgroup_visit_at("/sys/fs/cgroup", groups, controller, visit, context);
}
