// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/request.h"

#include "extproc/process/json.h"

static const struct {
    struct bytes path;
    const char *operation;
} paths[] = {
    {BYTES_LITERAL("/v1/chat/completions"), "chat"},
    {BYTES_LITERAL("/v1/completions"), "completion"},
    {BYTES_LITERAL("/v1/embeddings"), "embeddings"},
    {BYTES_LITERAL("/v1/responses"), "responses"},
};

const char *request_operation(struct bytes method, struct bytes path) {
    if (!bytes_equal(method, BYTES_LITERAL("POST"))) return NULL;
    const uint8_t *query = path.len != 0 ? memchr(path.data, '?', path.len) : NULL;
    if (query != NULL) path.len = (size_t)(query - path.data);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (bytes_equal(path, paths[i].path)) return paths[i].operation;
    }
    return NULL;
}

static struct bytes text_of(yyjson_val *value) {
    return bytes_of(yyjson_get_str(value), yyjson_get_len(value));
}

// Finds the value of "model". Parsers disagree on which of two equal keys counts, and some (Go's
// encoding/json) take keys whatever their case, so a backend could see another model than the one
// that was routed: the second of such keys is refused.
static yyjson_val *find_model(const uint8_t *body, yyjson_val *root, struct refusal *refusal) {
    yyjson_val *model = NULL, *key, *value;
    bool was_seen = false;
    size_t i, count;
    yyjson_obj_foreach(root, i, count, key, value) {
        if (!bytes_equal_ignoring_case(text_of(key), BYTES_LITERAL("model"))) continue;
        if (was_seen) {
            size_t offset = (size_t)(text_of(key).data - body);
            refusal_set(refusal, REFUSAL_MODEL_DUPLICATE,
                        "The request body names 'model' more than once: again at byte %zu.",
                        offset);
            return NULL;
        }
        was_seen = true;
        if (bytes_equal(text_of(key), BYTES_LITERAL("model"))) model = value;
    }
    if (model == NULL) {
        refusal_set(refusal, REFUSAL_MODEL_MISSING, "The request body has no field 'model'.");
    }
    return model;
}

// RFC 9110 section 5.5 has field values start and end with a visible character, and Envoy refuses
// control characters. Bytes from 0x80 on (UTF-8) it takes.
static bool is_header_value(struct bytes text, size_t *ret_offset) {
    for (size_t i = 0; i < text.len; i++) {
        bool is_edge = i == 0 || i == text.len - 1;
        bool is_bad = text.data[i] < ' ' || text.data[i] == 0x7f ||
                      (is_edge && text.data[i] == ' ');
        if (!is_bad) continue;
        *ret_offset = i;
        return false;
    }
    return true;
}

static const char *type_in_words(yyjson_val *value) {
    if (yyjson_is_null(value)) return "null";
    if (yyjson_is_bool(value)) return "a boolean";
    if (yyjson_is_str(value)) return "a string";
    if (yyjson_is_arr(value)) return "an array";
    if (yyjson_is_obj(value)) return "an object";
    return "a number";
}

static bool check_model(const uint8_t *body, yyjson_val *value, struct refusal *refusal) {
    if (!yyjson_is_str(value)) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID, "The field 'model' must be a string, not %s.",
                    type_in_words(value));
        return false;
    }
    struct bytes model = text_of(value);
    size_t start = (size_t)(model.data - body), offset;
    if (model.len == 0) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID,
                    "The field 'model' at byte %zu is an empty string.", start);
        return false;
    }
    if (model.len > REQUEST_MODEL_MOST_BYTES) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID,
                    "The field 'model' at byte %zu is %zu bytes long; the limit is %d.", start,
                    model.len, REQUEST_MODEL_MOST_BYTES);
        return false;
    }
    if (!is_header_value(model, &offset)) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID,
                    "The field 'model' at byte %zu has a character that an HTTP header cannot "
                    "carry there, at index %zu of the string.",
                    start, offset);
        return false;
    }
    return true;
}

bool request_read_model(uint8_t *body, size_t body_bytes, struct arena *arena,
                        struct bytes *ret_model, struct refusal *ret_refusal) {
    yyjson_val *root;
    struct fault fault;
    enum status status = json_read_in_place(body, body_bytes, arena, &fault, &root);
    if (status == STATUS_NO_MEMORY) {
        refusal_set(ret_refusal, REFUSAL_BODY_TOO_LARGE,
                    "The request body takes more memory to parse than is allowed.");
        return false;
    }
    if (status != STATUS_OK) {
        refusal_set(ret_refusal, REFUSAL_MALFORMED_JSON,
                    "The request body is not valid JSON: %s, at byte %zu.", fault.what,
                    fault.offset);
        return false;
    }
    if (!yyjson_is_obj(root)) {
        refusal_set(ret_refusal, REFUSAL_MALFORMED_JSON,
                    "The request body must be a JSON object, not %s.", type_in_words(root));
        return false;
    }
    yyjson_val *model = find_model(body, root, ret_refusal);
    if (model == NULL || !check_model(body, model, ret_refusal)) return false;
    *ret_model = text_of(model);
    return true;
}
