// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/comments.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "pprof/sample/contention.h"
#include "pprof/sample/cpu.h"
#include "pprof/sample/heap.h"
#include "pprof/sample/tick.h"
#include "pprof/stack/image.h"

static const char *version;

void comments_set_version(const char *of_program) {
    version = of_program;
}

static enum status add_text(struct buffer *out, const char *key, const char *value) {
    if (value == NULL || value[0] == '\0') return STATUS_OK;
    return buffer_append_format(out, "%s=%.200s\n", key, value);
}

static enum status add_number(struct buffer *out, const char *key, int64_t value) {
    return buffer_append_format(out, "%s=%" PRId64 "\n", key, value);
}

// The first line of a small file; nothing if it cannot be read.
static enum status add_file(struct buffer *out, const char *key, const char *path) {
    char text[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return STATUS_OK;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0) return STATUS_OK;
    text[strcspn(text, "\n")] = '\0';
    return add_text(out, key, text);
}

// The names that a pod's downward API is commonly given.
static enum status add_environment(struct buffer *out) {
    static const char *const rows[][2] = {
        {"pod", "POD_NAME"}, {"namespace", "POD_NAMESPACE"}, {"node", "NODE_NAME"}};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < COUNT_OF(rows) && status == STATUS_OK; i++) {
        status = add_text(out, rows[i][0], getenv(rows[i][1]));
    }
    return status;
}

// Inside a container the own cgroup is the root of what is mounted, of either version.
static enum status add_limits(struct buffer *out) {
    static const char *const rows[][2] = {
        {"memory_limit", "/sys/fs/cgroup/memory.max"},
        {"memory_limit", "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
        {"cpu_limit", "/sys/fs/cgroup/cpu.max"},
        {"cpu_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"},
    };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < COUNT_OF(rows) && status == STATUS_OK; i++) {
        status = add_file(out, rows[i][0], rows[i][1]);
    }
    return status;
}

static enum status add_rates(struct buffer *out) {
    const struct {
        const char *key;
        int64_t value;
    } rows[] = {
        {"cpu_hz", CPU_HZ},
        {"heap_rate_bytes", heap_rate()},
        {"block_rate_ns", contention_block_rate_ns()},
        {"mutex_fraction", contention_mutex_fraction()},
        {"ticks_dropped", (int64_t)atomic_load(&tick_dropped)},
        {"threads_unsampled", (int64_t)cpu_unsampled_count()},
        {"heap_samples_refused", (int64_t)heap_refused_count()},
    };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < COUNT_OF(rows) && status == STATUS_OK; i++) {
        status = add_number(out, rows[i].key, rows[i].value);
    }
    return status;
}

enum status comments_write(struct buffer *out) {
    enum status status = add_text(out, "version", version);
    if (status == STATUS_OK) status = add_text(out, "build_id", images_get()->list[0].build_id);
    if (status == STATUS_OK) status = add_environment(out);
    if (status == STATUS_OK) status = add_limits(out);
    if (status == STATUS_OK) status = add_rates(out);
    return status;
}
