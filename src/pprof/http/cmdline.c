// SPDX-License-Identifier: Apache-2.0
// cmdline: argv, joined by NUL.
#include <fcntl.h>
#include <unistd.h>

#include "pprof/http/endpoint.h"

enum { READ_BYTES = 4096, CMDLINE_LIMIT_BYTES = 1 << 20 };

static enum status read_all(int fd, struct buffer *out) {
    for (;;) {
        uint8_t *room;
        enum status status = buffer_reserve(out, READ_BYTES, &room);
        if (status != STATUS_OK) return status;
        ssize_t got = read(fd, room, READ_BYTES);
        if (got < 0) return STATUS_SYSTEM;
        if (got == 0) return STATUS_OK;
        out->len += (size_t)got;
    }
}

void endpoint_answer_cmdline(const struct request *request, struct answer *answer) {
    (void)request;
    *answer = (struct answer){
        .status = 200, .content_type = CONTENT_TEXT, .body.limit = CMDLINE_LIMIT_BYTES};
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        answer_failure(answer, STATUS_SYSTEM);
        return;
    }
    enum status status = read_all(fd, &answer->body);
    close(fd);
    if (status != STATUS_OK) {
        answer_failure(answer, status);
        return;
    }
    // The kernel ends each argument by NUL; Go puts it only between them.
    if (answer->body.len != 0) answer->body.len--;
}
