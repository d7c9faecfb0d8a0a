// SPDX-License-Identifier: Apache-2.0
// Every profile but CPU: a snapshot, or with seconds= the difference of two; as protobuf or text.
// The order of checks is Go's, our own format= comes last.
#include <stdio.h>

#include "base/clock.h"
#include "pprof/http/comments.h"
#include "pprof/http/endpoint.h"
#include "pprof/http/form.h"
#include "pprof/http/format.h"
#include "pprof/http/timed.h"
#include "pprof/profile/delta.h"
#include "pprof/profile/source.h"
#include "pprof/profile/text.h"

// As Go's Atoi with its error ignored: what is no number is 0, what is out of range the nearest.
static int64_t read_loosely(const struct request *request, const char *key) {
    struct buffer text = {0};
    int64_t number = 0;
    enum status status = request_find(request, key, &text);
    if (status == STATUS_OK) status = form_read_int(buffer_bytes(&text), &number);
    bool is_negative = text.len != 0 && text.data[0] == '-';
    buffer_done(&text);
    if (status == STATUS_OUT_OF_RANGE) return is_negative ? INT64_MIN : INT64_MAX;
    return status == STATUS_OK ? number : 0;
}

// 0: not asked for. STATUS_OUT_OF_RANGE: asked for, but not a positive number.
static enum status read_window(const struct request *request, int64_t *ret_seconds) {
    struct buffer text = {0};
    int64_t seconds = 0;
    enum status status = request_find(request, "seconds", &text);
    bool is_asked = status == STATUS_OK && text.len != 0;
    if (is_asked) status = form_read_int(buffer_bytes(&text), &seconds);
    buffer_done(&text);
    if (is_asked && (status != STATUS_OK || seconds <= 0)) return STATUS_OUT_OF_RANGE;
    *ret_seconds = seconds;
    return STATUS_OK;
}

// A stack that fills its room may have been longer.
static int64_t count_cut(const struct store *store) {
    int64_t count = 0;
    for (const struct sample *s = store->first; s != NULL; s = s->next) {
        count += s->key.depth == STACK_DEPTH;
    }
    return count;
}

static enum status write_profile(const struct source *source, const struct store *store,
                                 int64_t duration_ns, const struct format *format,
                                 struct answer *answer) {
    struct buffer comments = {0};
    enum status status = comments_write(count_cut(store), &comments);
    struct profile profile = {
        .default_sample_type = source->default_sample_type,
        .period_type = source->period_type,
        .period = source->period(),
        .time_wall_ns = clock_wall_ns(),
        .duration_ns = duration_ns,
        .samples = store,
        .comments = buffer_bytes(&comments),
    };
    memcpy(profile.sample_types, source->sample_types, sizeof profile.sample_types);
    if (status == STATUS_OK) status = format->write(&profile, format->value, &answer->body);
    buffer_done(&comments);
    return status;
}

static enum status write_text(const struct source *source, int64_t debug, struct answer *answer) {
    if (debug >= 2 && source->write_dump != NULL) return source->write_dump(&answer->body);
    struct store store = {0};
    enum status status = source->collect_text != NULL ? source->collect_text(&store)
                                                      : source->collect(&store, source->context);
    if (status == STATUS_OK) status = text_write(source, &store, &answer->body);
    store_done(&store);
    return status;
}

static enum status write_snapshot(const struct source *source, const struct format *format,
                                  struct answer *answer) {
    struct store store = {0};
    enum status status = source->collect(&store, source->context);
    if (status == STATUS_OK) status = write_profile(source, &store, 0, format, answer);
    store_done(&store);
    return status;
}

static void nothing(void) {}

static enum status write_delta(const struct source *source, const struct request *request,
                               int64_t seconds, const struct format *format,
                               struct answer *answer) {
    struct store before = {0};
    struct store after = {0};
    int64_t start_ns = clock_monotonic_ns();
    if (source->watch != NULL) source->watch(true);
    enum status status = source->collect(&before, source->context);
    if (status == STATUS_OK) {
        request_wait(request, start_ns + seconds * NS_PER_SECOND, nothing);
        status = source->collect(&after, source->context);
    }
    if (source->watch != NULL) source->watch(false);
    if (status == STATUS_OK) status = delta_subtract(&after, &before);
    if (status == STATUS_OK) {
        status = write_profile(source, &after, clock_monotonic_ns() - start_ns, format, answer);
    }
    store_done(&before);
    store_done(&after);
    return status;
}

void endpoint_answer_source(const struct source *source, const struct request *request,
                            struct answer *answer) {
    int64_t seconds;
    if (read_window(request, &seconds) != STATUS_OK) {
        answer_error(answer, 400, "invalid value for \"seconds\" - must be a positive integer");
        return;
    }
    int64_t debug = read_loosely(request, "debug");
    if (seconds != 0 && debug != 0) {
        answer_error(answer, 400, "seconds and debug params are incompatible");
        return;
    }
    struct format format;
    if (!format_read(request, source->sample_types, source->default_sample_type, &format, answer)) {
        return;
    }
    if (format.is_text && debug != 0) {
        answer_error(answer, 400, "format and debug params are incompatible");
        return;
    }
    bool is_text = format.is_text || debug != 0;
    int place = -1;
    if (seconds != 0 && !timed_begin(request, seconds, &place, answer)) return;
    *answer = (struct answer){.status = 200,
                              .body = ANSWER_BODY,
                              .content_type = is_text ? CONTENT_TEXT : CONTENT_BINARY};
    if (!is_text) {
        snprintf(answer->file_name, sizeof answer->file_name, "%s%s", source->name,
                 seconds != 0 ? "-delta" : "");
    }
    if (seconds == 0 && source->tidy != NULL && read_loosely(request, "gc") > 0) source->tidy();
    enum status status = seconds != 0 ? write_delta(source, request, seconds, &format, answer)
                         : debug != 0 ? write_text(source, debug, answer)
                                      : write_snapshot(source, &format, answer);
    if (status != STATUS_OK) answer_failure(answer, status);
    if (place >= 0) timed_end(place);
}
