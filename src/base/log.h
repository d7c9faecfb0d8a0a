// SPDX-License-Identifier: Apache-2.0
// One line an event on standard error, as logfmt or JSON: time, level, message, then fields. A line
// is one system call, so lines of several threads never mix. Libraries do not log: only main.c and
// the rim of src/extproc and src/pprof/http.
//
//     log_info("listening", log_text("address", address), log_number("port", port));
//
// Values are escaped; a line over 4 KiB is cut and ends in cut=true. No field may hold a secret or
// a body. Context: any thread, signal (musl's vsnprintf, gmtime_r and strftime take no lock and
// allocate nothing).
#pragma once

#include <stdint.h>

#include "base/bytes.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_field {
    const char *key;  // NULL ends a list
    enum { LOG_TEXT, LOG_NUMBER, LOG_BYTES } kind;
    const char *text;
    int64_t number;
    struct bytes bytes;
};

static inline struct log_field log_text(const char *key, const char *text) {
    return (struct log_field){.key = key, .kind = LOG_TEXT, .text = text != NULL ? text : ""};
}
static inline struct log_field log_bytes(const char *key, struct bytes bytes) {
    return (struct log_field){.key = key, .kind = LOG_BYTES, .bytes = bytes};
}
static inline struct log_field log_number(const char *key, int64_t number) {
    return (struct log_field){.key = key, .kind = LOG_NUMBER, .number = number};
}

// Lines below `level` are dropped. Call once, before there are threads. Default: info, logfmt.
void log_init(enum log_level level, enum log_format format);

void log_write(enum log_level level, const char *message, const struct log_field *fields);

// As JSON in either format, and at any level: a line that is kept for who reads it by program.
void log_write_audit(const char *message, const struct log_field *fields);

#define LOG_WRITE(level, message, ...)                                                             \
    log_write((level), (message),                                                                  \
              (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})
#define log_debug(...) LOG_WRITE(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_WRITE(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) LOG_WRITE(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) LOG_WRITE(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_audit(message, ...)                                                                    \
    log_write_audit((message), (const struct log_field[]){__VA_ARGS__, {.key = NULL}})

// Appends the line, newline included, to `line`; what log_write prints. For tests.
MUST_USE enum status log_encode(struct buffer *line, enum log_format format, int64_t wall_ns,
                                enum log_level level, const char *message,
                                const struct log_field *fields);
