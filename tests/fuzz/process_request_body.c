// SPDX-License-Identifier: Apache-2.0
// The JSON body of a request, of which the first byte says where it is cut; whole and cut, the same
// is found. A model that is found can be sent as a header; a change of the body leaves it valid
// JSON that asks for the usage; a refusal is valid JSON.
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "extproc/process/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so) {
    if (!is_so) abort();
}

static void check_model(struct bytes model) {
    require(model.len != 0 && model.len <= REQUEST_MODEL_MOST_BYTES);
    require(model.data[0] != ' ' && model.data[model.len - 1] != ' ');
    for (size_t i = 0; i < model.len; i++) require(model.data[i] >= ' ' && model.data[i] != 0x7f);
}

static yyjson_doc *read_json(struct bytes text) {
    yyjson_doc *document = yyjson_read((const char *)text.data, text.len,
                                       YYJSON_READ_BIGNUM_AS_RAW);
    require(document != NULL);
    return document;
}

static void check_refusal(const struct refusal *refusal) {
    struct arena arena;
    struct bytes body;
    arena_init(&arena, NULL, 0, 1 << 16);
    require(refusal->kind != REFUSAL_NONE);
    require(refusal_encode(refusal, &arena, &body) == STATUS_OK);
    yyjson_doc *document = read_json(body);
    yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(document), "error");
    require(yyjson_get_str(yyjson_obj_get(error, "code")) != NULL);
    yyjson_doc_free(document);
    arena_reset(&arena);
}

static void check_edit(const uint8_t *data, size_t size, const struct request_edit *edit) {
    struct buffer body = {0};
    require(edit->from <= edit->to && edit->to <= size);
    require(buffer_append(&body, bytes_of(data, edit->from)) == STATUS_OK);
    require(buffer_append_text(&body, edit->text) == STATUS_OK);
    require(buffer_append(&body, bytes_of(data + edit->to, size - edit->to)) == STATUS_OK);
    yyjson_doc *document = read_json(buffer_bytes(&body));
    yyjson_val *root = yyjson_doc_get_root(document);
    bool does_ask = false;
    yyjson_val *key, *value;
    size_t i, count;
    yyjson_obj_foreach(root, i, count, key, value) {
        if (!yyjson_equals_str(key, "stream_options")) continue;
        does_ask |= yyjson_get_bool(yyjson_obj_get(value, "include_usage"));
    }
    require(does_ask);
    yyjson_doc_free(document);
    buffer_done(&body);
}

static bool read_body(const uint8_t *data, size_t size, size_t step, struct request *request,
                      struct refusal *refusal) {
    request_init(request);
    while (size != 0) {
        size_t length = size < step ? size : step;
        uint8_t *piece = malloc(length);
        require(piece != NULL);
        memcpy(piece, data, length);
        bool is_good = request_add(request, bytes_of(piece, length), refusal);
        free(piece);
        if (!is_good) return false;
        data += length;
        size -= length;
    }
    return request_end(request, refusal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct request whole, cut;
    struct refusal refusal = {0}, cut_refusal = {0};
    size_t step = (size_t)data[0] % 32 + 1;
    bool is_good = read_body(++data, --size, size + 1, &whole, &refusal);
    require(read_body(data, size, step, &cut, &cut_refusal) == is_good);
    require(memcmp(&refusal, &cut_refusal, sizeof(refusal)) == 0);
    if (!is_good) {
        check_refusal(&refusal);
        return 0;
    }
    check_model(request_model(&whole));
    require(bytes_equal(request_model(&whole), request_model(&cut)));
    require(memcmp(&whole.edit, &cut.edit, sizeof(whole.edit)) == 0);
    if (whole.edit.text != NULL) check_edit(data, size, &whole.edit);
    return 0;
}
