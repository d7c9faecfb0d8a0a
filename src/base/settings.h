// SPDX-License-Identifier: Apache-2.0
// Settings from one table: flag, environment variable, default, range, help. `--help` and the
// README's table are printed from it. A flag beats its environment variable, which beats the
// default. A bad value is refused with its name, the value and the range.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

enum setting_kind {
    SETTING_TEXT,      // const char *, borrowed from argv or the environment
    SETTING_COUNT,     // int64_t
    SETTING_BYTES,     // int64_t; accepts the suffixes Ki Mi Gi
    SETTING_DURATION,  // int64_t nanoseconds; accepts ms s m (a bare number is refused but for 0)
    SETTING_CHOICE,    // int64_t, the index in `choices`
    SETTING_PRESENCE,  // bool: the flag is given, or the variable exists with any value, also an
                       // empty one
};

struct setting {
    const char *flag;         // "--listen"; NULL: environment only
    const char *environment;  // "EXTPROC_LISTEN"; NULL: flag only
    enum setting_kind kind;
    size_t offset;               // of the field in the struct that is filled
    const char *fallback;        // the default as one would type it; NULL for SETTING_PRESENCE
    int64_t least, most;         // COUNT, BYTES, DURATION (nanoseconds)
    const char *const *choices;  // CHOICE: NULL-terminated
    const char *help;            // one sentence, no full stop
};

enum { SETTINGS_MESSAGE_BYTES = 512 };

// Fills the fields of `ret_values` (a struct that the offsets of `table` are of). `--flag value`
// and `--flag=value` are both understood. On failure `ret_message` says why in one line and
// `ret_values` may be half filled. STATUS_UNSUPPORTED: an unknown flag or a stray word;
// STATUS_OUT_OF_RANGE, STATUS_MALFORMED: a bad value. Context: start-up.
MUST_USE enum status settings_read(const struct setting *table, size_t count, int argc,
                                   char *const *argv, void *ret_values,
                                   char ret_message[SETTINGS_MESSAGE_BYTES]);

// The table as text for --help, and as a Markdown table for the README.
void settings_print_help(const struct setting *table, size_t count, FILE *out);
void settings_print_markdown(const struct setting *table, size_t count, FILE *out);
