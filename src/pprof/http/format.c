// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/format.h"

#include "pprof/profile/encode.h"
#include "pprof/profile/folded.h"
#include "pprof/profile/top.h"

static enum status write_protobuf(const struct profile *profile, size_t value, struct buffer *out) {
    (void)value;  // all of them are in it
    return profile_encode(profile, out);
}

static const struct {
    const char *name;
    struct format format;
} formats[] = {
    {"", {.write = write_protobuf}},
    {"folded", {.write = folded_write, .is_text = true}},
    {"top", {.write = top_write, .is_text = true}},
};

// Without the parameter, and for an empty one, "".
static struct bytes read_text(const struct request *request, const char *key, struct buffer *text) {
    text->len = 0;
    enum status status = request_find(request, key, text);
    return status == STATUS_OK ? buffer_bytes(text) : BYTES_EMPTY;
}

static bool find_format(struct bytes name, struct format *ret_format) {
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        if (!bytes_equal(bytes_of_text(formats[i].name), name)) continue;
        *ret_format = formats[i].format;
        return true;
    }
    return false;
}

// "" is what pprof shows first: the default type, or else the last.
static bool find_value(struct bytes name, const struct profile_type types[SAMPLE_VALUES],
                       const char *default_type, size_t *ret_value) {
    if (name.len == 0 && default_type != NULL) name = bytes_of_text(default_type);
    for (size_t i = 0; i < SAMPLE_VALUES && types[i].type != NULL; i++) {
        if (name.len != 0 && !bytes_equal(bytes_of_text(types[i].type), name)) continue;
        *ret_value = i;
        if (name.len != 0) return true;
    }
    return name.len == 0;
}

static void refuse_value(const struct profile_type types[SAMPLE_VALUES], struct answer *answer) {
    struct buffer sentence = {0};
    enum status status = buffer_append_text(&sentence,
                                            "invalid value for \"sample_index\" - must be one of");
    for (size_t i = 0; status == STATUS_OK && i < SAMPLE_VALUES && types[i].type != NULL; i++) {
        status = buffer_append_format(&sentence, " %s", types[i].type);
    }
    if (status == STATUS_OK) status = buffer_append_byte(&sentence, '\0');
    if (status == STATUS_OK) answer_error(answer, 400, (const char *)sentence.data);
    if (status != STATUS_OK) answer_failure(answer, status);
    buffer_done(&sentence);
}

bool format_read(const struct request *request, const struct profile_type types[SAMPLE_VALUES],
                 const char *default_type, struct format *ret_format, struct answer *answer) {
    struct buffer text = {0};
    bool is_known = find_format(read_text(request, "format", &text), ret_format);
    if (!is_known) {
        answer_error(answer, 400, "invalid value for \"format\" - must be folded or top");
    } else if (ret_format->is_text) {
        struct bytes name = read_text(request, "sample_index", &text);
        is_known = find_value(name, types, default_type, &ret_format->value);
        if (!is_known) refuse_value(types, answer);
    }
    buffer_done(&text);
    return is_known;
}
