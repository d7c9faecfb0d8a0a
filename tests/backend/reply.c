// SPDX-License-Identifier: Apache-2.0
#include "reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A document under construction: every object that a reply nests is made from it.
struct maker {
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
};

static void *must(void *pointer) {
    if (pointer != NULL) return pointer;
    fputs("backend: out of memory\n", stderr);
    abort();
}

static struct maker maker_new(void) {
    yyjson_mut_doc *doc = must(yyjson_mut_doc_new(NULL));
    yyjson_mut_val *root = must(yyjson_mut_obj(doc));
    yyjson_mut_doc_set_root(doc, root);
    return (struct maker){doc, root};
}

// The finished text, `before` in front and `after` behind it; frees the document.
static char *maker_finish(struct maker maker, const char *before, const char *after,
                          size_t *ret_len) {
    size_t json_len = 0;
    char *json = must(yyjson_mut_write(maker.doc, 0, &json_len));
    size_t len = strlen(before) + json_len + strlen(after);
    char *text = must(malloc(len + 1));
    snprintf(text, len + 1, "%s%s%s", before, json, after);
    free(json);
    yyjson_mut_doc_free(maker.doc);
    *ret_len = len;
    return text;
}

static yyjson_mut_val *add_object(struct maker maker, yyjson_mut_val *parent, const char *key) {
    yyjson_mut_val *object = must(yyjson_mut_obj(maker.doc));
    yyjson_mut_obj_add_val(maker.doc, parent, key, object);
    return object;
}

// An array with one object in it, which is returned.
static yyjson_mut_val *add_list_of_one(struct maker maker, yyjson_mut_val *parent,
                                       const char *key) {
    yyjson_mut_val *list = must(yyjson_mut_arr(maker.doc));
    yyjson_mut_obj_add_val(maker.doc, parent, key, list);
    return must(yyjson_mut_arr_add_obj(maker.doc, list));
}

static void add_text(struct maker maker, yyjson_mut_val *parent, const char *key,
                     const char *text) {
    yyjson_mut_obj_add_strcpy(maker.doc, parent, key, text);
}

static void add_number(struct maker maker, yyjson_mut_val *parent, const char *key,
                       int64_t number) {
    yyjson_mut_obj_add_int(maker.doc, parent, key, number);
}

enum endpoint reply_endpoint(const char *path) {
    static const struct {
        const char *path;
        enum endpoint endpoint;
    } table[] = {
        {"/v1/chat/completions", ENDPOINT_CHAT},
        {"/v1/completions", ENDPOINT_COMPLETION},
        {"/v1/embeddings", ENDPOINT_EMBEDDING},
        {"/v1/responses", ENDPOINT_RESPONSE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(path, table[i].path) == 0) return table[i].endpoint;
    return ENDPOINT_OTHER;
}

void reply_read_body(struct question *question, const char *body, size_t len) {
    yyjson_doc *doc = yyjson_read(body, len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *model = yyjson_get_str(yyjson_obj_get(root, "model"));
    if (model != NULL) {
        free(question->model);
        question->model = must(strdup(model));
    }
    question->is_stream = yyjson_get_bool(yyjson_obj_get(root, "stream"));
    yyjson_val *options = yyjson_obj_get(root, "stream_options");
    question->asks_for_usage = yyjson_get_bool(yyjson_obj_get(options, "include_usage"));
    yyjson_doc_free(doc);
}

// What arrived here, so that a test sees what was routed where and what was changed on the way.
static void add_facts(struct maker maker, const struct question *question) {
    yyjson_mut_val *facts = add_object(maker, maker.root, "backend");
    add_text(maker, facts, "name", question->backend_name);
    add_text(maker, facts, "path", question->path);
    add_number(maker, facts, "body_bytes", (int64_t)question->body_bytes);
    if (question->body != NULL) add_text(maker, facts, "body", question->body);
    yyjson_mut_val *headers = yyjson_mut_doc_get_root(question->headers);
    yyjson_mut_obj_add_val(maker.doc, facts, "headers",
                           must(yyjson_mut_val_mut_copy(maker.doc, headers)));
}

// The two dialects of `usage`: that of /v1/responses and that of all others.
static void add_usage(struct maker maker, yyjson_mut_val *parent, const struct question *question) {
    bool is_response = question->endpoint == ENDPOINT_RESPONSE;
    bool is_embedding = question->endpoint == ENDPOINT_EMBEDDING;
    int64_t output = is_embedding ? 0 : question->output_tokens;
    yyjson_mut_val *usage = add_object(maker, parent, "usage");
    add_number(maker, usage, is_response ? "input_tokens" : "prompt_tokens",
               question->input_tokens);
    if (!is_embedding) {
        const char *details = is_response ? "input_tokens_details" : "prompt_tokens_details";
        add_number(maker, usage, is_response ? "output_tokens" : "completion_tokens", output);
        add_number(maker, add_object(maker, usage, details), "cached_tokens",
                   question->cached_tokens);
        details = is_response ? "output_tokens_details" : "completion_tokens_details";
        add_number(maker, add_object(maker, usage, details), "reasoning_tokens",
                   question->reasoning_tokens);
    }
    add_number(maker, usage, "total_tokens", question->input_tokens + output);
}

// The sentence that names the backend, behind it as many bytes of padding as were asked for.
static void add_sentence(struct maker maker, yyjson_mut_val *parent, const char *key,
                         const struct question *question) {
    size_t pad = (size_t)question->pad_bytes;
    size_t room = strlen(question->backend_name) + strlen(question->model) + pad + 64;
    char *text = must(malloc(room));
    int len = snprintf(text, room, "Backend %s answers for %s.", question->backend_name,
                       question->model);
    memset(text + len, 'x', pad);
    text[(size_t)len + pad] = '\0';
    add_text(maker, parent, key, text);
    free(text);
}

static void add_head(struct maker maker, const char *object, const struct question *question) {
    add_text(maker, maker.root, "id", "reply-1");
    add_text(maker, maker.root, "object", object);
    add_number(maker, maker.root, "created", 1700000000);
    add_text(maker, maker.root, "model", question->model);
}

static void add_response_output(struct maker maker, yyjson_mut_val *parent,
                                const struct question *question) {
    yyjson_mut_val *message = add_list_of_one(maker, parent, "output");
    add_text(maker, message, "type", "message");
    add_text(maker, message, "role", "assistant");
    yyjson_mut_val *content = add_list_of_one(maker, message, "content");
    add_text(maker, content, "type", "output_text");
    add_sentence(maker, content, "text", question);
}

static char *whole_reply(const struct question *question, size_t *ret_len) {
    struct maker maker = maker_new();
    if (question->status >= 400) {
        yyjson_mut_val *error = add_object(maker, maker.root, "error");
        add_text(maker, error, "type", "backend_error");
        add_sentence(maker, error, "message", question);
        add_facts(maker, question);
        return maker_finish(maker, "", "\n", ret_len);
    }
    switch (question->endpoint) {
    case ENDPOINT_CHAT: {
        add_head(maker, "chat.completion", question);
        yyjson_mut_val *choice = add_list_of_one(maker, maker.root, "choices");
        add_number(maker, choice, "index", 0);
        add_text(maker, choice, "finish_reason", "stop");
        yyjson_mut_val *message = add_object(maker, choice, "message");
        add_text(maker, message, "role", "assistant");
        add_sentence(maker, message, "content", question);
        break;
    }
    case ENDPOINT_COMPLETION: {
        add_head(maker, "text_completion", question);
        yyjson_mut_val *choice = add_list_of_one(maker, maker.root, "choices");
        add_number(maker, choice, "index", 0);
        add_text(maker, choice, "finish_reason", "stop");
        add_sentence(maker, choice, "text", question);
        break;
    }
    case ENDPOINT_EMBEDDING: {
        add_head(maker, "list", question);
        yyjson_mut_val *item = add_list_of_one(maker, maker.root, "data");
        add_text(maker, item, "object", "embedding");
        yyjson_mut_val *numbers = must(yyjson_mut_arr(maker.doc));
        for (int i = 0; i < 8; i++) yyjson_mut_arr_add_real(maker.doc, numbers, 0.125 * i);
        yyjson_mut_obj_add_val(maker.doc, item, "embedding", numbers);
        break;
    }
    case ENDPOINT_RESPONSE:
        add_head(maker, "response", question);
        add_text(maker, maker.root, "status", "completed");
        add_response_output(maker, maker.root, question);
        break;
    case ENDPOINT_OTHER: add_facts(maker, question); return maker_finish(maker, "", "\n", ret_len);
    }
    add_usage(maker, maker.root, question);
    add_facts(maker, question);
    return maker_finish(maker, "", "\n", ret_len);
}

// One event of a chat or legacy completion: `chunks` pieces of text, then the usage.
static char *completion_event(const struct question *question, int64_t index, size_t *ret_len) {
    bool is_chat = question->endpoint == ENDPOINT_CHAT;
    bool is_last = index == question->chunks;
    struct maker maker = maker_new();
    add_head(maker, is_chat ? "chat.completion.chunk" : "text_completion", question);
    yyjson_mut_val *choice = add_list_of_one(maker, maker.root, "choices");
    add_number(maker, choice, "index", 0);
    if (is_last) add_text(maker, choice, "finish_reason", "stop");
    yyjson_mut_val *delta = is_chat ? add_object(maker, choice, "delta") : choice;
    char word[32];
    snprintf(word, sizeof word, "word-%lld ", (long long)index);
    if (!is_last) add_text(maker, delta, is_chat ? "content" : "text", word);
    bool tells_usage = question->asks_for_usage || !question->is_strict;
    if (is_last && tells_usage) add_usage(maker, maker.root, question);
    if (index == 0) add_facts(maker, question);
    return maker_finish(maker, "data: ", "\n\n", ret_len);
}

// One event of /v1/responses: created, `chunks` deltas, completed with the usage inside `response`.
static char *response_event(const struct question *question, int64_t index, size_t *ret_len) {
    bool is_first = index == 0;
    bool is_last = index == question->chunks + 1;
    const char *type = is_first  ? "response.created"
                       : is_last ? "response.completed"
                                 : "response.output_text.delta";
    struct maker maker = maker_new();
    add_text(maker, maker.root, "type", type);
    add_number(maker, maker.root, "sequence_number", index);
    if (is_first || is_last) {
        yyjson_mut_val *response = add_object(maker, maker.root, "response");
        add_text(maker, response, "id", "reply-1");
        add_text(maker, response, "object", "response");
        add_text(maker, response, "model", question->model);
        add_text(maker, response, "status", is_last ? "completed" : "in_progress");
        if (is_last) add_response_output(maker, response, question);
        if (is_last) add_usage(maker, response, question);
        if (is_first) add_facts(maker, question);
    } else {
        add_text(maker, maker.root, "delta", "word ");
    }
    char before[64];
    snprintf(before, sizeof before, "event: %s\ndata: ", type);
    return maker_finish(maker, before, "\n\n", ret_len);
}

static bool has_events(const struct question *question) {
    return question->is_stream && question->status < 400 &&
           (question->endpoint == ENDPOINT_CHAT || question->endpoint == ENDPOINT_COMPLETION ||
            question->endpoint == ENDPOINT_RESPONSE);
}

int64_t reply_piece_count(const struct question *question) {
    return has_events(question) ? question->chunks + 2 : 1;
}

char *reply_piece(const struct question *question, int64_t index, size_t *ret_len) {
    if (!has_events(question)) return whole_reply(question, ret_len);
    if (question->endpoint == ENDPOINT_RESPONSE) return response_event(question, index, ret_len);
    if (index <= question->chunks) return completion_event(question, index, ret_len);
    char *done = must(strdup("data: [DONE]\n\n"));
    *ret_len = strlen(done);
    return done;
}

void question_done(struct question *question) {
    free(question->model);
    yyjson_mut_doc_free(question->headers);
}
