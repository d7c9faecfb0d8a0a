// SPDX-License-Identifier: Apache-2.0
// What is told of a request when it is over: once, however it ends.
#include "extproc/genai.h"
#include "extproc/observer.h"
#include "extproc/process/turn.h"

static struct genai_count count_of(const struct usage *usage, enum usage_kind kind) {
    return (struct genai_count){usage->counts[kind].is_known, usage->counts[kind].tokens};
}

// A model that was served is not only claimed: from now on its requests are told apart.
static void vouch_for(struct process_stream *stream, struct bytes model) {
    const struct observer *observer = stream->options->observer;
    uint32_t *vouched_label = &stream->metrics->vouched_label;
    if (observer == NULL || model.len == 0 || stream->label == *vouched_label) return;
    stream->label = *vouched_label = observer->label(stream->label, "model", model, true);
}

void stream_record(struct process_stream *stream, int64_t now_ns, const char *error_type) {
    if (stream->is_recorded || stream->operation == NULL) return;
    stream->is_recorded = true;
    const struct reply *reply = &stream->reply;
    const struct usage *usage = &reply->usage;
    struct bytes model = request_model(&stream->request);
    const struct genai_request request = {
        .operation = stream->operation,
        .original_model = model,
        .request_model = model,  // what a filter behind the router makes of it is not known here
        .response_model = bytes_of(usage->model, usage->model_bytes),
        .error_type = error_type,
        .duration_ns = now_ns - reply->asked_ns,
        .first_token_ns = reply->first_ns != 0 ? reply->first_ns - reply->asked_ns : -1,
        .per_token_ns = reply_per_token_ns(reply, now_ns),
        .tokens = {[GENAI_INPUT] = count_of(usage, USAGE_INPUT),
                   [GENAI_OUTPUT] = count_of(usage, USAGE_OUTPUT),
                   [GENAI_CACHED_INPUT] = count_of(usage, USAGE_CACHED_INPUT),
                   [GENAI_REASONING] = count_of(usage, USAGE_REASONING)},
    };
    genai_record(stream->metrics->genai, &request);
    if (error_type == NULL) vouch_for(stream, model);
}

void stream_record_status(struct process_stream *stream, int64_t now_ns, struct bytes status) {
    char code[4] = "";
    bool is_code = status.len == 3;
    for (size_t i = 0; i < 3 && is_code; i++) {
        is_code = status.data[i] >= '0' && status.data[i] <= '9';
        code[i] = (char)status.data[i];
    }
    stream->is_answered = is_code && code[0] == '2';
    if (!stream->is_answered) stream_record(stream, now_ns, is_code ? code : "_OTHER");
}
