// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/exchange.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "pprof/http/form.h"

enum { EVERY_NS = 50 * NS_PER_MS, RETRY_SECONDS = 1 };

const char CONTENT_TEXT[] = "text/plain; charset=utf-8";
const char CONTENT_HTML[] = "text/html; charset=utf-8";
const char CONTENT_BINARY[] = "application/octet-stream";

static int wake_event = -1;

void answer_error(struct answer *answer, unsigned status, const char *sentence) {
    answer_done(answer);
    *answer = (struct answer){
        .status = status, .content_type = CONTENT_TEXT, .is_pprof_error = true};
    // Without memory the body stays empty; the status still says it.
    enum status written = buffer_append_format(&answer->body, "%s\n", sentence);
    (void)written;
}

void answer_bad_request(struct answer *answer) {
    answer_done(answer);
    *answer = (struct answer){
        .status = 400, .content_type = CONTENT_TEXT, .is_plain = true, .closes = true};
    enum status written = buffer_append_text(&answer->body, "400 Bad Request");
    (void)written;
}

void answer_failure(struct answer *answer, enum status status) {
    if (status == STATUS_NO_MEMORY) {
        answer_error(answer, 503,
                     "out of memory: with what other readers hold, this takes more than they may, "
                     "or than there is below the memory limit, what is kept aside for it included");
        answer->retry_after_seconds = RETRY_SECONDS;
        return;
    }
    answer_error(answer, 500, status_sentence(status));
}

void answer_done(struct answer *answer) {
    buffer_done(&answer->location);
    buffer_done(&answer->body);
}

enum status request_find(const struct request *request, const char *key, struct buffer *out) {
    struct bytes name = bytes_of_text(key);
    enum status status = STATUS_NOT_FOUND;
    if (request->is_form) status = form_find(request->body, name, out);
    if (status == STATUS_NOT_FOUND) status = form_find(request->query, name, out);
    return status;
}

void request_wait(const struct request *request, int64_t deadline_ns, void (*every)(void)) {
    // POLLRDHUP comes with a half-close too: Go ends the profile then, and so do we. What else the
    // client sends is its next request and waits.
    struct pollfd watched[] = {
        {.fd = request->client_socket, .events = POLLRDHUP},
        {.fd = wake_event, .events = POLLIN},
    };
    for (;;) {
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0) return;
        if (left_ns > EVERY_NS) left_ns = EVERY_NS;
        struct timespec timeout = {.tv_nsec = left_ns};
        int ready = ppoll(watched, COUNT_OF(watched), &timeout, NULL);
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) return;
        every();
    }
}

void request_wake_all(void) {
    uint64_t one = 1;
    ssize_t written = write(wake_event, &one, sizeof one);
    (void)written;  // fails only when it is full, and then everybody is awake
}

enum status request_sleep_again(void) {
    if (wake_event >= 0) close(wake_event);
    wake_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return wake_event >= 0 ? STATUS_OK : STATUS_SYSTEM;
}
