// SPDX-License-Identifier: Apache-2.0
// The filter behind the router: it is told which backend and route Envoy has chosen, and puts that
// into the metadata. What the body said, the filter in front of the router has put into headers: no
// state is shared with its stream. A retry is a new stream, whose metadata replaces the old.
#include "extproc/process/turn.h"
#include "extproc/process/utf8.h"

static void add_text(struct turn *turn, struct bytes key, struct bytes text) {
    // A header is bytes, a protobuf string is UTF-8.
    if (text.len == 0 || !utf8_is_valid(text)) return;
    turn->answer.metadata[turn->answer.metadata_count++] = (struct message_metadata){
        .key = key,
        .is_text = true,
        .text = text,
    };
}

// namespace/name/route/ROUTE/rule/N/ref/N: the first two tell the AIServiceBackend.
static struct bytes service_of(struct bytes backend) {
    size_t slashes = 0;
    for (size_t i = 0; i < backend.len; i++) {
        if (backend.data[i] == '/' && ++slashes == 2) return bytes_of(backend.data, i);
    }
    return backend;
}

static void label_routed(struct turn *turn, struct bytes model) {
    const struct message *message = &turn->message;
    struct bytes path = message_find_header(message, BYTES_LITERAL("x-ai-eg-original-path"));
    struct bytes method = message_find_header(message, BYTES_LITERAL(":method"));
    const char *operation = request_operation(method, path);
    if (operation == NULL) return;
    turn_add_label(turn, "operation", bytes_of_text(operation), true);
    if (utf8_is_valid(model)) turn_add_label(turn, "model", model, false);
}

enum status upstream_on_headers(struct turn *turn) {
    const struct message *message = &turn->message;
    struct bytes model = message_find_header(message, BYTES_LITERAL("x-ai-eg-model"));
    bool is_known = message->backend.len != 0;
    metrics_add(turn->stream->metrics, is_known ? METRIC_UPSTREAM_KNOWN : METRIC_UPSTREAM_UNKNOWN,
                1);
    label_routed(turn, model);
    add_text(turn, BYTES_LITERAL("backend_name"), message->backend);
    add_text(turn, BYTES_LITERAL("ai_service_backend_name"), service_of(message->backend));
    add_text(turn, BYTES_LITERAL("route_name"), message->route);
    // The model as it is here, after whatever the route did to the header.
    add_text(turn, BYTES_LITERAL("model_name_override"), model);
    return STATUS_OK;
}
