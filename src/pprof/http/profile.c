// SPDX-License-Identifier: Apache-2.0
// profile: CPU time over a window of seconds.
#include <inttypes.h>

#include "base/clock.h"
#include "pprof/http/comments.h"
#include "pprof/http/endpoint.h"
#include "pprof/http/form.h"
#include "pprof/profile/encode.h"
#include "pprof/sample/cpu.h"

enum { DEFAULT_SECONDS = 30 };

// As Go: whatever is not a positive number means 30, never an error.
static int64_t read_seconds(const struct request *request) {
    struct buffer text = {0};
    int64_t seconds = 0;
    enum status status = request_find(request, "seconds", &text);
    if (status == STATUS_OK) status = form_read_int(buffer_bytes(&text), &seconds);
    buffer_done(&text);
    if (status != STATUS_OK || seconds <= 0) return DEFAULT_SECONDS;
    int64_t longest = INT64_MAX / NS_PER_SECOND / 2;  // room for the clock's reading
    return seconds < longest ? seconds : longest;
}

static enum status encode(const struct cpu_window *window, int64_t duration_ns,
                          struct buffer *out) {
    struct buffer comments = {0};
    enum status status = comments_write(&comments);
    if (status == STATUS_OK) {
        status = buffer_append_format(&comments, "lost in this profile: stacks_cut=%" PRId64 "\n",
                                      window->cut_count);
    }
    const struct profile profile = {
        .sample_types =
            {[CPU_VALUE_SAMPLES] = {"samples", "count"}, [CPU_VALUE_NS] = {"cpu", "nanoseconds"}},
        .period_type = {"cpu", "nanoseconds"},
        .period = CPU_PERIOD_NS,
        .time_wall_ns = window->start_wall_ns,
        .duration_ns = duration_ns,
        .samples = &window->store,
        .comments = buffer_bytes(&comments),
    };
    if (status == STATUS_OK) status = profile_encode(&profile, out);
    buffer_done(&comments);
    return status;
}

void endpoint_answer_profile(const struct request *request, struct answer *answer) {
    int64_t seconds = read_seconds(request);
    struct cpu_window window;
    enum status status = cpu_window_open(&window);
    if (status == STATUS_BUSY) {
        answer_error(answer, 500, "Could not enable CPU profiling: cpu profiling already in use");
        return;
    }
    if (status != STATUS_OK) {
        answer_failure(answer, status);
        return;
    }
    request_wait(request, window.start_ns + seconds * NS_PER_SECOND, cpu_drain);
    cpu_window_close(&window);
    int64_t duration_ns = clock_monotonic_ns() - window.start_ns;

    *answer = (struct answer){.status = 200,
                              .content_type = CONTENT_BINARY,
                              .file_name = "profile",
                              .body.limit = BODY_BYTES_MOST};
    status = encode(&window, duration_ns, &answer->body);
    store_done(&window.store);
    if (status != STATUS_OK) answer_failure(answer, status);
}
