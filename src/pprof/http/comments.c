// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/comments.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
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

// A line of "key=value" pairs; nothing is written for an empty value, nor for a line without pairs.
struct line {
    struct buffer *out;
    const char *title;
    bool is_begun;
    enum status status;
};

static void add_text(struct line *line, const char *key, const char *value) {
    if (line->status != STATUS_OK || value == NULL || value[0] == '\0') return;
    line->status = buffer_append_format(line->out, "%s %s=%.200s",
                                        line->is_begun ? "" : line->title, key, value);
    line->is_begun = true;
}

static void add_number(struct line *line, const char *key, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    add_text(line, key, text);
}

static enum status end(struct line *line) {
    if (line->status != STATUS_OK || !line->is_begun) return line->status;
    return buffer_append_byte(line->out, '\n');
}

// The first line of a small file; nothing if it cannot be read, or says that there is no limit.
static void add_file(struct line *line, const char *key, const char *path) {
    char text[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0) return;
    text[strcspn(text, "\n")] = '\0';
    // Version 1 says "no limit" by the largest number of pages, or by -1.
    if (strncmp(text, "max", 3) == 0 || strlen(text) > 18 || text[0] == '-') return;
    add_text(line, key, text);
}

static enum status write_program(struct buffer *out) {
    struct line line = {.out = out, .title = "program:"};
    add_text(&line, "version", version);
    add_text(&line, "build_id", images_get()->list[0].build_id);
    return end(&line);
}

// The names that a pod's downward API is commonly given; inside a container the own cgroup is the
// root of what is mounted, of either version.
static enum status write_container(struct buffer *out) {
    struct line line = {.out = out, .title = "container:"};
    add_text(&line, "pod", getenv("POD_NAME"));
    add_text(&line, "namespace", getenv("POD_NAMESPACE"));
    add_text(&line, "node", getenv("NODE_NAME"));
    add_file(&line, "memory_limit", "/sys/fs/cgroup/memory.max");
    add_file(&line, "memory_limit", "/sys/fs/cgroup/memory/memory.limit_in_bytes");
    add_file(&line, "cpu_limit", "/sys/fs/cgroup/cpu.max");
    add_file(&line, "cpu_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    return end(&line);
}

static enum status write_rates(struct buffer *out) {
    struct line line = {.out = out, .title = "rates:"};
    add_number(&line, "cpu_hz", CPU_HZ);
    add_number(&line, "heap_bytes", heap_rate());
    add_number(&line, "block_ns", contention_block_rate_ns());
    add_number(&line, "mutex_fraction", contention_mutex_fraction());
    return end(&line);
}

static enum status write_losses(struct buffer *out) {
    struct line line = {.out = out, .title = "lost since the start:"};
    add_number(&line, "ticks", (int64_t)atomic_load(&tick_dropped));
    add_number(&line, "threads_without_timer", (int64_t)cpu_unsampled_count());
    add_number(&line, "heap_samples", (int64_t)heap_refused_count());
    add_number(&line, "wait_samples", (int64_t)contention_refused_count());
    return end(&line);
}

static enum status write_cut(int64_t stacks_cut, struct buffer *out) {
    struct line line = {.out = out, .title = "lost in this profile:"};
    add_number(&line, "stacks_cut", stacks_cut);
    return end(&line);
}

enum status comments_write(int64_t stacks_cut, struct buffer *out) {
    enum status status = write_program(out);
    if (status == STATUS_OK) status = write_container(out);
    if (status == STATUS_OK) status = write_rates(out);
    if (status == STATUS_OK) status = write_losses(out);
    return status == STATUS_OK ? write_cut(stacks_cut, out) : status;
}
