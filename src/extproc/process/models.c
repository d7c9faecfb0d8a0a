// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/models.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME_SHOWN_BYTES = 60 };

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct bytes trim(struct bytes text) {
    while (text.len != 0 && is_space(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len != 0 && is_space(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

// Takes the next name, which may be empty, from the front of `text`. False: there is none.
static bool next_name(struct bytes *text, struct bytes *ret_name) {
    if (text->len == 0) return false;
    size_t len = 0, name_len = SIZE_MAX;
    bool is_comment = false;
    while (len < text->len && text->data[len] != '\n' && (is_comment || text->data[len] != ',')) {
        if (text->data[len] == '#' && !is_comment) {
            is_comment = true;
            name_len = len;
        }
        len++;
    }
    *ret_name = trim(bytes_of(text->data, name_len < len ? name_len : len));
    size_t taken = len < text->len ? len + 1 : len;
    *text = bytes_of(text->data + taken, text->len - taken);
    return true;
}

// What needs no escape in JSON and no guess in a header.
static bool is_name(struct bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];
        if (byte <= ' ' || byte > '~' || byte == '"' || byte == '\\') return false;
    }
    return true;
}

static enum status write_list(struct bytes text, int64_t created_s, struct buffer *answer,
                              size_t *ret_count, char ret_message[MODELS_MESSAGE_BYTES]) {
    size_t count = 0;
    struct bytes name;
    enum status status = buffer_append_text(answer, "{\"object\":\"list\",\"data\":[");
    while (status == STATUS_OK && next_name(&text, &name)) {
        if (name.len == 0) continue;
        if (!is_name(name)) {
            int len = name.len < NAME_SHOWN_BYTES ? (int)name.len : NAME_SHOWN_BYTES;
            snprintf(ret_message, MODELS_MESSAGE_BYTES,
                     "\"%.*s\" is no model: allowed is visible ASCII but quotes and backslashes",
                     len, (const char *)name.data);
            return STATUS_MALFORMED;
        }
        status = buffer_append_format(answer,
                                      "%s{\"id\":\"%.*s\",\"object\":\"model\",\"created\":%" PRId64
                                      ",\"owned_by\":\"gateway\"}",
                                      count != 0 ? "," : "", (int)name.len, (const char *)name.data,
                                      created_s);
        count++;
    }
    if (status == STATUS_OK && count == 0) {
        snprintf(ret_message, MODELS_MESSAGE_BYTES, "no model is named");
        return STATUS_MALFORMED;
    }
    *ret_count = count;
    return status == STATUS_OK ? buffer_append_text(answer, "]}") : status;
}

enum status models_set(struct models *models, struct bytes text, int64_t created_s,
                       char ret_message[MODELS_MESSAGE_BYTES]) {
    struct buffer answer = {0};
    size_t count = 0;
    snprintf(ret_message, MODELS_MESSAGE_BYTES, "out of memory");
    if (text.len > MODELS_TEXT_MOST_BYTES) {
        snprintf(ret_message, MODELS_MESSAGE_BYTES, "the list is longer than 64 KiB");
        return STATUS_TOO_LARGE;
    }
    enum status status = write_list(text, created_s, &answer, &count, ret_message);
    if (status != STATUS_OK) {
        buffer_done(&answer);
        return status;
    }
    pthread_mutex_lock(&models->lock);
    struct buffer old = models->answer;
    models->answer = answer;
    models->count = count;
    pthread_mutex_unlock(&models->lock);
    buffer_done(&old);
    return STATUS_OK;
}

enum status models_read(struct models *models, struct arena *arena, struct bytes *ret_answer) {
    enum status status = STATUS_NO_MEMORY;
    pthread_mutex_lock(&models->lock);
    size_t len = models->answer.len;
    uint8_t *copy = arena_alloc(arena, len);
    if (copy != NULL) {
        if (len != 0) memcpy(copy, models->answer.data, len);
        *ret_answer = bytes_of(copy, len);
        status = STATUS_OK;
    }
    pthread_mutex_unlock(&models->lock);
    return status;
}

size_t models_count(struct models *models) {
    pthread_mutex_lock(&models->lock);
    size_t count = models->count;
    pthread_mutex_unlock(&models->lock);
    return count;
}

void models_done(struct models *models) {
    buffer_done(&models->answer);
}
