// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/usage.h"

#include <yyjson.h>

static const uint64_t TOKENS_MOST = UINT64_C(1) << 53;

static struct usage_count read_count(yyjson_val *object, const char *key) {
    yyjson_val *value = yyjson_obj_get(object, key);
    bool is_known = yyjson_is_uint(value) && yyjson_get_uint(value) <= TOKENS_MOST;
    return (struct usage_count){
        .is_known = is_known,
        .tokens = is_known ? yyjson_get_uint(value) : 0,
    };
}

// The same thing has one name in chat completions, completions and embeddings, and another one in
// responses.
static struct usage_count read_either(yyjson_val *object, const char *key, const char *other_key) {
    struct usage_count count = read_count(object, key);
    return count.is_known ? count : read_count(object, other_key);
}

static struct usage_count read_cached(yyjson_val *object) {
    struct usage_count count = read_count(yyjson_obj_get(object, "prompt_tokens_details"),
                                          "cached_tokens");
    if (count.is_known) return count;
    return read_count(yyjson_obj_get(object, "input_tokens_details"), "cached_tokens");
}

bool usage_is_known(const struct usage *usage) {
    return usage->input.is_known || usage->cached_input.is_known || usage->output.is_known ||
           usage->total.is_known;
}

static void take_counts(struct usage *usage, yyjson_val *object) {
    struct usage latest = {
        .input = read_either(object, "prompt_tokens", "input_tokens"),
        .cached_input = read_cached(object),
        .output = read_either(object, "completion_tokens", "output_tokens"),
        .total = read_count(object, "total_tokens"),
    };
    if (!usage_is_known(&latest)) return;
    usage->input = latest.input;
    usage->cached_input = latest.cached_input;
    usage->output = latest.output;
    usage->total = latest.total;
}

static void take_model(struct usage *usage, yyjson_val *value) {
    size_t length = yyjson_get_len(value);
    if (!yyjson_is_str(value) || length == 0 || length > sizeof(usage->model)) return;
    memcpy(usage->model, yyjson_get_str(value), length);
    usage->model_bytes = length;
}

void usage_take(struct usage *usage, yyjson_val *root) {
    // The events of a responses stream wrap the reply: {"type":"response.completed","response":{…}}
    yyjson_val *response = yyjson_obj_get(root, "response");
    yyjson_val *reply = yyjson_is_obj(response) ? response : root;
    take_counts(usage, yyjson_obj_get(reply, "usage"));
    take_model(usage, yyjson_obj_get(reply, "model"));
}
