// SPDX-License-Identifier: Apache-2.0
// profile: CPU time over a window of seconds.

#include "base/clock.h"
#include "pprof/http/comments.h"
#include "pprof/http/endpoint.h"
#include "pprof/http/form.h"
#include "pprof/http/format.h"
#include "pprof/http/record.h"
#include "pprof/http/timed.h"
#include "pprof/sample/cpu.h"

enum { DEFAULT_SECONDS = 30 };

// As Go: whatever is not a positive number means 30, never an error; less where that is over the
// limit.
static int64_t read_seconds(const struct request *request) {
    struct buffer text = {0};
    int64_t seconds = 0;
    enum status status = request_find(request, "seconds", &text);
    if (status == STATUS_OK) status = form_read_int(buffer_bytes(&text), &seconds);
    buffer_done(&text);
    if (status == STATUS_OK && seconds > 0) return seconds;
    return DEFAULT_SECONDS < timed_seconds_most() ? DEFAULT_SECONDS : timed_seconds_most();
}

static const struct profile_type sample_types[SAMPLE_VALUES] = {
    [CPU_VALUE_SAMPLES] = {"samples", "count"}, [CPU_VALUE_NS] = {"cpu", "nanoseconds"}};

static enum status write_profile(const struct cpu_window *window, int64_t duration_ns,
                                 const struct format *format, struct buffer *out) {
    struct buffer comments = {0};
    enum status status = comments_write(window->cut_count, &comments);
    struct profile profile = {
        .period_type = {"cpu", "nanoseconds"},
        .period = CPU_PERIOD_NS,
        .time_wall_ns = window->start_wall_ns,
        .duration_ns = duration_ns,
        .samples = &window->store,
        .comments = buffer_bytes(&comments),
    };
    memcpy(profile.sample_types, sample_types, sizeof profile.sample_types);
    if (status == STATUS_OK) status = format->write(&profile, format->value, out);
    buffer_done(&comments);
    return status;
}

static void answer_window(const struct request *request, int64_t seconds,
                          const struct format *format, struct answer *answer) {
    struct cpu_window window;
    enum status status = cpu_window_open(&window);
    if (status == STATUS_BUSY) {
        if (request->record != NULL) request->record->refusal = REFUSAL_BUSY;
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
                              .content_type = format->is_text ? CONTENT_TEXT : CONTENT_BINARY,
                              .body = ANSWER_BODY};
    if (!format->is_text) memcpy(answer->file_name, "profile", sizeof "profile");
    status = write_profile(&window, duration_ns, format, &answer->body);
    store_done(&window.store);
    if (status != STATUS_OK) answer_failure(answer, status);
}

void endpoint_answer_profile(const struct request *request, struct answer *answer) {
    int64_t seconds = read_seconds(request);
    struct format format;
    int place;
    if (!format_read(request, sample_types, NULL, &format, answer)) return;
    if (!timed_begin(request, seconds, &place, answer)) return;
    answer_window(request, seconds, &format, answer);
    timed_end(place);
}
