// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { FILE_BYTES_MOST = 4096 };

static bool is_made_of_token_characters(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!token_may_hold(text.data[i])) return false;
    }
    return true;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes trim(struct bytes text) {
    while (text.len != 0 && is_space(text.data[0])) text = bytes_of(text.data + 1, text.len - 1);
    while (text.len != 0 && is_space(text.data[text.len - 1])) text.len--;
    return text;
}

// What is wrong with one line; NULL: nothing. An empty `ret_name`: it has none.
static const char *split(struct bytes line, struct bytes *ret_name, struct bytes *ret_token) {
    const uint8_t *colon = memchr(line.data, ':', line.len);
    *ret_name = BYTES_EMPTY;
    *ret_token = line;
    if (colon != NULL) {
        *ret_name = bytes_of(line.data, (size_t)(colon - line.data));
        *ret_token = bytes_of(colon + 1, line.len - ret_name->len - 1);
        if (ret_name->len == 0 || ret_name->len >= TOKEN_NAME_BYTES ||
            !is_made_of_token_characters(*ret_name)) {
            return "a name is 1 to 32 letters, digits and -._~";
        }
    }
    if (ret_token->len < TOKEN_BYTES_LEAST) return "a token has at least 16 characters";
    if (ret_token->len > TOKEN_BYTES_MOST) return "a token has at most 256 characters";
    if (!is_made_of_token_characters(*ret_token)) return "a token is letters, digits and -._~";
    return NULL;
}

// Takes as long whatever the two hold: every byte is looked at, the ones behind the end as 0.
static bool are_equal(struct bytes token, struct bytes secret) {
    uint8_t ours[TOKEN_BYTES_MOST] = {0};
    uint8_t theirs[TOKEN_BYTES_MOST] = {0};
    memcpy(ours, token.data, token.len);
    if (secret.len != 0 && secret.len <= sizeof theirs) {
        memcpy(theirs, secret.data, secret.len);
    }
    size_t difference = token.len ^ secret.len;
    for (size_t i = 0; i < sizeof ours; i++) difference |= ours[i] ^ theirs[i];
    explicit_bzero(ours, sizeof ours);
    return difference == 0;
}

enum status token_find(struct bytes text, struct bytes secret, char ret_name[TOKEN_NAME_BYTES],
                       struct fault *ret_fault) {
    char found[TOKEN_NAME_BYTES] = "";
    size_t number = 0;
    size_t count = 0;
    while (text.len != 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        struct bytes line = trim(bytes_of(text.data, len));
        size_t used = end != NULL ? len + 1 : len;
        text = bytes_of(text.data + used, text.len - used);
        number++;
        if (line.len == 0) continue;
        struct bytes name, token;
        const char *wrong = split(line, &name, &token);
        if (wrong != NULL) {
            *ret_fault = (struct fault){STATUS_MALFORMED, number, wrong};
            return STATUS_MALFORMED;
        }
        count++;
        if (!are_equal(token, secret)) continue;
        if (name.len != 0) snprintf(found, sizeof found, "%.*s", (int)name.len, name.data);
        if (name.len == 0) snprintf(found, sizeof found, "line-%zu", number);
    }
    if (count == 0) {
        *ret_fault = (struct fault){STATUS_TRUNCATED, number, "there is no token in it"};
        return STATUS_TRUNCATED;
    }
    if (found[0] == '\0') return STATUS_NOT_FOUND;
    memcpy(ret_name, found, sizeof found);
    return STATUS_OK;
}

// Up to FILE_BYTES_MOST. A folder, too, fails to be read.
static enum status read_file(const char *path, uint8_t room[FILE_BYTES_MOST + 1], size_t *ret_len) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return STATUS_SYSTEM;
    size_t len = 0;
    ssize_t got;
    do {
        got = read(fd, room + len, FILE_BYTES_MOST + 1 - len);
        if (got > 0) len += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    int error = errno;
    close(fd);
    errno = error;
    if (got < 0) return STATUS_SYSTEM;
    if (len > FILE_BYTES_MOST) return STATUS_TOO_LARGE;
    *ret_len = len;
    return STATUS_OK;
}

enum status token_find_in_file(const char *path, struct bytes secret,
                               char ret_name[TOKEN_NAME_BYTES],
                               char ret_reason[TOKEN_REASON_BYTES]) {
    uint8_t text[FILE_BYTES_MOST + 1];
    size_t len = 0;
    struct fault fault;
    enum status status = read_file(path, text, &len);
    if (status == STATUS_SYSTEM) {
        snprintf(ret_reason, TOKEN_REASON_BYTES, "%s", strerror(errno));
        return status;
    }
    if (status == STATUS_TOO_LARGE) {
        snprintf(ret_reason, TOKEN_REASON_BYTES, "it is over %d bytes", (int)FILE_BYTES_MOST);
        return status;
    }
    status = token_find(bytes_of(text, len), secret, ret_name, &fault);
    explicit_bzero(text, sizeof text);
    if (status == STATUS_MALFORMED || status == STATUS_TRUNCATED) {
        snprintf(ret_reason, TOKEN_REASON_BYTES, "line %zu: %s", fault.offset, fault.what);
    }
    return status;
}
