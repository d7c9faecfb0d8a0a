// SPDX-License-Identifier: Apache-2.0
// The JSON body of a request: a model that is found can be sent as a header; a refusal is valid
// JSON.
#include <stdlib.h>
#include <string.h>

#include "extproc/process/json.h"
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

static void check_refusal(const struct refusal *refusal, struct arena *arena) {
    struct bytes body;
    struct fault fault;
    yyjson_val *root;
    require(refusal->kind != REFUSAL_NONE);
    arena_reset(arena);
    require(refusal_encode(refusal, arena, &body) == STATUS_OK);
    require(json_read(body, arena, &fault, &root) == STATUS_OK);
    require(yyjson_get_str(yyjson_obj_get(yyjson_obj_get(root, "error"), "code")) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct bytes model;
    struct refusal refusal = {0};
    // The padding that is promised, and not a byte more.
    uint8_t *body = calloc(1, size + JSON_PADDING);
    require(body != NULL);
    if (size != 0) memcpy(body, data, size);
    arena_init(&arena, NULL, 0, 1 << 16);
    if (request_read_model(body, size, &arena, &model, &refusal)) {
        check_model(model);
    } else {
        check_refusal(&refusal, &arena);
    }
    arena_reset(&arena);
    free(body);
    return 0;
}
