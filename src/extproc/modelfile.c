// SPDX-License-Identifier: Apache-2.0
#include "extproc/modelfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/log.h"

static enum status refuse(const char *reason, char message[MODELS_MESSAGE_BYTES]) {
    snprintf(message, MODELS_MESSAGE_BYTES, "%s", reason);
    return STATUS_SYSTEM;
}

// All of a file of known size; one that grows meanwhile has changed, and is read again.
static enum status read_text(int fd, off_t size, struct buffer *text) {
    uint8_t *room;
    if (buffer_reserve(text, (size_t)size, &room) != STATUS_OK) return STATUS_NO_MEMORY;
    while (text->len < (size_t)size) {
        ssize_t len = read(fd, room + text->len, (size_t)size - text->len);
        if (len < 0 && errno == EINTR) continue;
        if (len < 0) return STATUS_SYSTEM;
        if (len == 0) break;
        text->len += (size_t)len;
    }
    return STATUS_OK;
}

static enum status read_file(struct modelfile *file, char message[MODELS_MESSAGE_BYTES]) {
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // no FIFO holds us up
    if (fd < 0) return refuse(strerror(errno), message);
    struct buffer text = {0};
    enum status status = STATUS_SYSTEM;
    if (fstat(fd, &file->seen) != 0 || !S_ISREG(file->seen.st_mode)) {
        (void)refuse("not a file", message);
    } else if (file->seen.st_size > MODELS_TEXT_MOST_BYTES) {
        (void)refuse("the list is longer than 64 KiB", message);
    } else if (read_text(fd, file->seen.st_size, &text) != STATUS_OK) {
        (void)refuse(strerror(errno), message);
    } else {
        status = models_set(file->models, buffer_bytes(&text), file->seen.st_mtim.tv_sec, message);
    }
    buffer_done(&text);
    close(fd);
    return status;
}

enum status modelfile_open(struct modelfile *file, char ret_message[MODELS_MESSAGE_BYTES]) {
    return read_file(file, ret_message);
}

static bool is_same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// The time of its status, too: who may read it can change alone.
static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           is_same_time(a->st_mtim, b->st_mtim) && is_same_time(a->st_ctim, b->st_ctim);
}

void modelfile_check(struct modelfile *file) {
    struct stat now;
    memset(&now, 0, sizeof(now));
    // A file that is not there is as one without a number.
    (void)!stat(file->path, &now);
    if (is_same(&now, &file->seen)) return;
    file->seen = now;
    char message[MODELS_MESSAGE_BYTES];
    if (read_file(file, message) == STATUS_OK) {
        log_info("models read", log_text("file", file->path),
                 log_number("models", (int64_t)models_count(file->models)));
        return;
    }
    log_error("the models stay as they were", log_text("setting", "--models"),
              log_text("file", file->path), log_text("reason", message));
}
