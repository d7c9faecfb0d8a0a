// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/request.h"

#include <assert.h>

static const struct {
    struct bytes path;
    const char *operation;
    bool may_ask_for_usage;
} paths[] = {
    {BYTES_LITERAL("/v1/chat/completions"), "chat", true},
    {BYTES_LITERAL("/v1/completions"), "completion", true},
    {BYTES_LITERAL("/v1/embeddings"), "embeddings", false},
    // It tells always, and refuses the option.
    {BYTES_LITERAL("/v1/responses"), "responses", false},
};

static struct bytes without_query(struct bytes path) {
    const uint8_t *query = path.len != 0 ? memchr(path.data, '?', path.len) : NULL;
    return query != NULL ? bytes_of(path.data, (size_t)(query - path.data)) : path;
}

bool request_asks_for_models(struct bytes method, struct bytes path) {
    return bytes_equal(method, BYTES_LITERAL("GET")) &&
           bytes_equal(without_query(path), BYTES_LITERAL("/v1/models"));
}

const char *request_operation(struct bytes method, struct bytes path) {
    if (!bytes_equal(method, BYTES_LITERAL("POST"))) return NULL;
    path = without_query(path);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (bytes_equal(path, paths[i].path)) return paths[i].operation;
    }
    return NULL;
}

bool request_may_ask_for_usage(const char *operation) {
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (strcmp(paths[i].operation, operation) == 0) return paths[i].may_ask_for_usage;
    }
    return false;
}

enum { FIELD_NONE, FIELD_MODEL, FIELD_STREAM, FIELD_OPTIONS, FIELD_INCLUDE_USAGE };

// What is known of stream_options: not there, an object without include_usage (empty or not), or
// said in one way or another.
enum { OPTIONS_ABSENT, OPTIONS_EMPTY, OPTIONS_SILENT, OPTIONS_SAID };

static const uint64_t root_key_lengths = SCAN_KEY_LENGTH(sizeof("model") - 1) |
                                         SCAN_KEY_LENGTH(sizeof("stream") - 1) |
                                         SCAN_KEY_LENGTH(sizeof("stream_options") - 1);

void request_init(struct request *request) {
    memset(request, 0, offsetof(struct request, scan));
    scan_init(&request->scan, request->room, sizeof(request->room));
    request->scan.key_lengths = root_key_lengths;
}

/* the model */

static const char *type_in_words(enum scan_token token) {
    switch (token) {
    case SCAN_NULL: return "null";
    case SCAN_TRUE:
    case SCAN_FALSE: return "a boolean";
    case SCAN_STRING: return "a string";
    case SCAN_ARRAY: return "an array";
    case SCAN_OBJECT: return "an object";
    default: return "a number";
    }
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

static bool check_model(const struct scan *scan, enum scan_token token, struct refusal *refusal) {
    if (token != SCAN_STRING) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID, "The field 'model' must be a string, not %s.",
                    type_in_words(token));
        return false;
    }
    size_t offset;
    if (scan->text_is_cut) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID,
                    "The field 'model' at byte %zu is longer than the limit of %d bytes.",
                    scan->token_offset, REQUEST_MODEL_MOST_BYTES);
        return false;
    }
    if (scan->text.len == 0) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID,
                    "The field 'model' at byte %zu is an empty string.", scan->token_offset);
        return false;
    }
    if (!is_header_value(scan->text, &offset)) {
        refusal_set(refusal, REFUSAL_MODEL_INVALID,
                    "The field 'model' at byte %zu has a character that an HTTP header cannot "
                    "carry there, at index %zu of the string.",
                    scan->token_offset, offset);
        return false;
    }
    return true;
}

static bool take_model(struct request *request, enum scan_token token, struct refusal *refusal) {
    struct scan *scan = &request->scan;
    if (!check_model(scan, token, refusal)) return false;
    memmove(request->room, scan->text.data, scan->text.len);
    request->model_bytes = scan->text.len;
    scan->room = request->key_room;
    scan->room_bytes = sizeof(request->key_room);
    return true;
}

// Parsers disagree on which of two equal keys counts, and some (Go's encoding/json) take keys
// whatever their case, so a backend could see another model than the one that was routed: the
// second of such keys is refused.
static bool take_model_key(struct request *request, struct refusal *refusal) {
    struct scan *scan = &request->scan;
    if (request->has_model_key) {
        refusal_set(refusal, REFUSAL_MODEL_DUPLICATE,
                    "The request body names 'model' more than once: again at byte %zu.",
                    scan->token_offset);
        return false;
    }
    request->has_model_key = true;
    bool is_exact = bytes_equal(scan->text, BYTES_LITERAL("model"));
    request->field = is_exact ? FIELD_MODEL : FIELD_NONE;
    return true;
}

/* asking for the usage */

#define INCLUDE_USAGE "\"include_usage\":true"

static void set_edit(struct request *request, size_t from, size_t to, const char *text) {
    request->edit = (struct request_edit){.from = from, .to = to, .text = text};
}

static void take_include_usage(struct request *request, enum scan_token token) {
    const struct scan *scan = &request->scan;
    request->options = OPTIONS_SAID;
    bool is_no = token == SCAN_FALSE || token == SCAN_NULL;
    if (is_no) set_edit(request, scan->token_offset, scan_offset(scan), "true");
}

static void take_options(struct request *request, enum scan_token token) {
    struct scan *scan = &request->scan;
    request->options = token == SCAN_OBJECT ? OPTIONS_EMPTY : OPTIONS_SAID;
    if (token == SCAN_OBJECT) scan->key_lengths = SCAN_ALL_KEYS;
    if (token == SCAN_NULL) {
        set_edit(request, scan->token_offset, scan_offset(scan), "{" INCLUDE_USAGE "}");
    }
}

static bool refuse_missing(struct refusal *refusal) {
    refusal_set(refusal, REFUSAL_MODEL_MISSING, "The request body has no field 'model'.");
    return false;
}

// The end of stream_options or of the whole.
static bool close_object(struct request *request, struct refusal *refusal) {
    struct scan *scan = &request->scan;
    size_t at = scan->token_offset;
    scan->key_lengths = root_key_lengths;
    if (scan->depth == 1 && request->options != OPTIONS_SAID) {
        bool is_empty = request->options == OPTIONS_EMPTY;
        set_edit(request, at, at, is_empty ? INCLUDE_USAGE : "," INCLUDE_USAGE);
        request->options = OPTIONS_SAID;
    }
    if (scan->depth == 0 && request->options == OPTIONS_ABSENT && request->is_stream) {
        // Something stands before it: "stream".
        set_edit(request, at, at, ",\"stream_options\":{" INCLUDE_USAGE "}");
    }
    // Said now, because whoever waits for it may not send the end of the body before.
    return scan->depth != 0 || request->model_bytes != 0 || refuse_missing(refusal);
}

/* tokens */

static bool take_key(struct request *request, struct refusal *refusal) {
    struct scan *scan = &request->scan;
    request->field = FIELD_NONE;
    if (scan->depth == 2) {  // in stream_options, the only object that is not skipped
        bool is_asking = bytes_equal(scan->text, BYTES_LITERAL("include_usage"));
        if (is_asking) request->field = FIELD_INCLUDE_USAGE;
        if (request->options == OPTIONS_EMPTY) request->options = OPTIONS_SILENT;
    } else if (bytes_equal_ignoring_case(scan->text, BYTES_LITERAL("model"))) {
        if (!take_model_key(request, refusal)) return false;
    } else if (bytes_equal(scan->text, BYTES_LITERAL("stream"))) {
        request->field = FIELD_STREAM;
    } else if (bytes_equal(scan->text, BYTES_LITERAL("stream_options"))) {
        request->field = FIELD_OPTIONS;
    }
    if (request->field == FIELD_NONE) scan_skip(scan);
    return true;
}

static bool take_root(struct request *request, enum scan_token token, struct refusal *refusal) {
    request->is_object = token == SCAN_OBJECT;
    if (request->is_object) return true;
    refusal_set(refusal, REFUSAL_MALFORMED_JSON, "The request body must be a JSON object, not %s.",
                type_in_words(token));
    return false;
}

static bool take_value(struct request *request, enum scan_token token, struct refusal *refusal) {
    struct scan *scan = &request->scan;
    bool is_container = token == SCAN_OBJECT || token == SCAN_ARRAY;
    uint8_t field = request->field;
    request->field = FIELD_NONE;
    if (scan->depth == (is_container ? 1 : 0)) return take_root(request, token, refusal);
    switch (field) {
    case FIELD_MODEL: return take_model(request, token, refusal);
    case FIELD_STREAM:
        request->is_stream = token == SCAN_TRUE;
        request->knows_stream = true;
        break;
    case FIELD_OPTIONS: take_options(request, token); break;
    default: take_include_usage(request, token); break;
    }
    if (is_container && !(field == FIELD_OPTIONS && token == SCAN_OBJECT)) scan_skip(scan);
    return true;
}

static bool refuse_malformed(const struct request *request, struct refusal *refusal) {
    const struct fault *fault = &request->scan.fault;
    refusal_set(refusal, REFUSAL_MALFORMED_JSON,
                "The request body is not valid JSON: %s, at byte %zu.", fault->what, fault->offset);
    return false;
}

bool request_add(struct request *request, struct bytes piece, struct refusal *ret_refusal) {
    struct scan *scan = &request->scan;
    scan_add(scan, piece);
    for (;;) {
        enum scan_token token = scan_next(scan);
        switch (token) {
        case SCAN_FAULT: return refuse_malformed(request, ret_refusal);
        case SCAN_MORE: return true;
        case SCAN_KEY:
            if (!take_key(request, ret_refusal)) return false;
            break;
        case SCAN_OBJECT_END:
            if (!close_object(request, ret_refusal)) return false;
            break;
        default:
            if (!take_value(request, token, ret_refusal)) return false;
        }
    }
}

bool request_end(struct request *request, struct refusal *ret_refusal) {
    if (!scan_end(&request->scan)) return refuse_malformed(request, ret_refusal);
    // The end of a number is the end of the text.
    if (!request->is_object) return take_root(request, SCAN_NUMBER, ret_refusal);
    return true;
}

bool request_is_whole(const struct request *request) {
    return scan_is_whole(&request->scan);
}

size_t request_settled_bytes(const struct request *request, size_t length) {
    bool is_no_stream = request->knows_stream && !request->is_stream;
    if (is_no_stream || request_is_whole(request)) return length;
    if (request->edit.text != NULL && !request->is_stream) return request->edit.from;
    bool may_change = request->field == FIELD_OPTIONS || request->field == FIELD_INCLUDE_USAGE;
    return may_change ? length - scan_cut_word(&request->scan).len : length;
}
