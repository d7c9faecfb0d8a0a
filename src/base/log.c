// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_LIMIT_BYTES = 4096, TAIL_BYTES = 32 };

static enum log_level least_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_LOGFMT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(enum log_level level, enum log_format format) {
    least_level = level;
    line_format = format;
}

static bool needs_quotes(struct bytes value) {
    if (value.len == 0) return true;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) return true;
    }
    return false;
}

// Both formats share JSON's escapes. Bytes from 0x80 up are escaped one by one, so that a line is
// ASCII whatever a peer sent.
static enum status append_escaped(struct buffer *line, struct bytes value) {
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        enum status status;
        if (c == '"' || c == '\\') {
            status = buffer_append_format(line, "\\%c", c);
        } else if (c < ' ' || c >= 0x7f) {
            status = buffer_append_format(line, "\\u%04x", c);
        } else {
            status = buffer_append_byte(line, c);
        }
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

static enum status append_quoted(struct buffer *line, struct bytes value) {
    enum status status = buffer_append_byte(line, '"');
    if (status == STATUS_OK) status = append_escaped(line, value);
    if (status == STATUS_OK) status = buffer_append_byte(line, '"');
    return status;
}

static enum status append_pair(struct buffer *line, enum log_format format,
                               const struct log_field *field) {
    bool is_json = format == LOG_FORMAT_JSON;
    enum status status = buffer_append_format(line, is_json ? ",\"%s\":" : " %s=", field->key);
    if (status != STATUS_OK) return status;
    if (field->kind == LOG_NUMBER) return buffer_append_format(line, "%" PRId64, field->number);
    struct bytes value = field->kind == LOG_TEXT ? bytes_of_text(field->text) : field->bytes;
    if (is_json || needs_quotes(value)) return append_quoted(line, value);
    return buffer_append(line, value);
}

static enum status append_time(struct buffer *line, enum log_format format, int64_t wall_ns) {
    time_t seconds = (time_t)(wall_ns / NS_PER_SECOND);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    bool is_json = format == LOG_FORMAT_JSON;
    return buffer_append_format(line, is_json ? "{\"time\":\"%s.%03dZ\"" : "time=%s.%03dZ", text,
                                (int)(wall_ns % NS_PER_SECOND / NS_PER_MS));
}

// Pairs up to the one without a key. One that does not fit leaves no half behind.
static enum status append_pairs(struct buffer *line, enum log_format format,
                                const struct log_field *fields) {
    for (; fields->key != NULL; fields++) {
        size_t before = line->len;
        enum status status = append_pair(line, format, fields);
        if (status == STATUS_OK) continue;
        line->len = before;
        return status;
    }
    return STATUS_OK;
}

static enum status append_all(struct buffer *line, enum log_format format, int64_t wall_ns,
                              enum log_level level, const char *message,
                              const struct log_field *fields) {
    const struct log_field head[] = {
        log_text("level", level_names[level]), log_text("msg", message), {.key = NULL}};
    enum status status = append_time(line, format, wall_ns);
    if (status == STATUS_OK) status = append_pairs(line, format, head);
    if (status == STATUS_OK && fields != NULL) status = append_pairs(line, format, fields);
    return status;
}

enum status log_encode(struct buffer *line, enum log_format format, int64_t wall_ns,
                       enum log_level level, const char *message, const struct log_field *fields) {
    size_t limit = line->limit;
    line->limit = line->len + LINE_LIMIT_BYTES - TAIL_BYTES;
    enum status status = append_all(line, format, wall_ns, level, message, fields);
    line->limit = limit;
    bool is_json = format == LOG_FORMAT_JSON;
    if (status == STATUS_TOO_LARGE) {
        status = buffer_append_text(line, is_json ? ",\"cut\":true" : " cut=true");
    }
    if (status != STATUS_OK) return status;
    return buffer_append_text(line, is_json ? "}\n" : "\n");
}

// In memory of its own, which a line never outgrows: also in a signal handler, and when there is no
// other memory left.
static void write_line(enum log_format format, enum log_level level, const char *message,
                       const struct log_field *fields) {
    UNINITIALIZED uint8_t room[LINE_LIMIT_BYTES];
    struct buffer line = {.data = room, .capacity = sizeof room};
    enum status status = log_encode(&line, format, clock_wall_ns(), level, message, fields);
    assert(status == STATUS_OK);
    (void)status;
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written;  // nobody is left to tell
}

void log_write(enum log_level level, const char *message, const struct log_field *fields) {
    if (level >= least_level) write_line(line_format, level, message, fields);
}

void log_write_audit(const char *message, const struct log_field *fields) {
    write_line(LOG_FORMAT_JSON, LOG_LEVEL_INFO, message, fields);
}
