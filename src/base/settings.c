// SPDX-License-Identifier: Apache-2.0
#include "base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit byte_units[] = {
    {"", 1}, {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}};
static const struct unit duration_units[] = {
    {"ms", NS_PER_MS}, {"s", NS_PER_SECOND}, {"m", 60 * NS_PER_SECOND}};
static const struct unit count_units[] = {{"", 1}};

// A whole number and one of the units, nothing else: no sign but '-', no spaces, no fraction.
static enum status read_number(const char *text, const struct unit *units, size_t count,
                               int64_t *ret_number) {
    if (!isdigit((unsigned char)text[0]) && text[0] != '-') return STATUS_MALFORMED;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text) return STATUS_MALFORMED;
    if (errno == ERANGE) return STATUS_OUT_OF_RANGE;
    if (number == 0 && *end == '\0') {
        *ret_number = 0;
        return STATUS_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].suffix) != 0) continue;
        if (__builtin_mul_overflow(number, units[i].factor, ret_number)) {
            return STATUS_OUT_OF_RANGE;
        }
        return STATUS_OK;
    }
    return STATUS_MALFORMED;
}

static enum status read_choice(const struct setting *setting, const char *text, int64_t *ret) {
    for (int64_t i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], text) == 0) {
            *ret = i;
            return STATUS_OK;
        }
    }
    return STATUS_OUT_OF_RANGE;
}

static enum status read_integer(const struct setting *setting, const char *text, int64_t *ret) {
    int64_t number;
    enum status status = STATUS_MALFORMED;
    if (setting->kind == SETTING_CHOICE) return read_choice(setting, text, ret);
    if (setting->kind == SETTING_COUNT) {
        status = read_number(text, count_units, COUNT_OF(count_units), &number);
    }
    if (setting->kind == SETTING_BYTES) {
        status = read_number(text, byte_units, COUNT_OF(byte_units), &number);
    }
    if (setting->kind == SETTING_DURATION) {
        status = read_number(text, duration_units, COUNT_OF(duration_units), &number);
    }
    if (status != STATUS_OK) return status;
    if (number < setting->least || number > setting->most) return STATUS_OUT_OF_RANGE;
    *ret = number;
    return STATUS_OK;
}

static void print_amount(enum setting_kind kind, int64_t number, char *text, size_t size) {
    const struct unit *units = count_units;
    size_t count = COUNT_OF(count_units);
    if (kind == SETTING_BYTES) {
        units = byte_units;
        count = COUNT_OF(byte_units);
    }
    if (kind == SETTING_DURATION) {
        units = duration_units;
        count = COUNT_OF(duration_units);
    }
    const struct unit *best = &units[0];
    for (size_t i = 0; number != 0 && i < count; i++) {
        if (number % units[i].factor == 0) best = &units[i];
    }
    snprintf(text, size, "%" PRId64 "%s", number / best->factor, number == 0 ? "" : best->suffix);
}

// What may stand there, in words; "" where anything may.
static void print_range(const struct setting *setting, char *text, size_t size) {
    text[0] = '\0';
    if (setting->kind == SETTING_CHOICE) {
        size_t len = 0;
        for (size_t i = 0; setting->choices[i] != NULL && len < size; i++) {
            len += (size_t)snprintf(text + len, size - len, "%s%s", i == 0 ? "" : ", ",
                                    setting->choices[i]);
        }
    }
    if (setting->kind == SETTING_COUNT || setting->kind == SETTING_BYTES ||
        setting->kind == SETTING_DURATION) {
        char least[32];
        char most[32];
        print_amount(setting->kind, setting->least, least, sizeof least);
        print_amount(setting->kind, setting->most, most, sizeof most);
        snprintf(text, size, "%s to %s", least, most);
    }
}

static enum status store(const struct setting *setting, const char *name, const char *text,
                         void *values, char message[SETTINGS_MESSAGE_BYTES]) {
    void *field = (char *)values + setting->offset;
    if (setting->kind == SETTING_PRESENCE) {
        *(bool *)field = true;
        return STATUS_OK;
    }
    if (setting->kind == SETTING_TEXT) {
        *(const char **)field = text;
        return STATUS_OK;
    }
    enum status status = read_integer(setting, text, field);
    if (status == STATUS_OK) return STATUS_OK;
    char range[128];
    print_range(setting, range, sizeof range);
    const char *unit = setting->kind == SETTING_DURATION ? ", with a unit: ms, s or m"
                       : setting->kind == SETTING_BYTES  ? ", in bytes or with Ki, Mi or Gi"
                                                         : "";
    snprintf(message, SETTINGS_MESSAGE_BYTES, "%s: \"%.64s\" is not accepted; allowed: %s%s", name,
             text, range, unit);
    return status;
}

static enum status read_environment(const struct setting *table, size_t count, void *values,
                                    char message[SETTINGS_MESSAGE_BYTES]) {
    for (size_t i = 0; i < count; i++) {
        if (table[i].environment == NULL) continue;
        const char *text = getenv(table[i].environment);
        if (text == NULL) continue;
        enum status status = store(&table[i], table[i].environment, text, values, message);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

static const struct setting *find_flag(const struct setting *table, size_t count,
                                       struct bytes name) {
    for (size_t i = 0; i < count; i++) {
        if (table[i].flag == NULL) continue;
        if (bytes_equal(bytes_of_text(table[i].flag), name)) return &table[i];
    }
    return NULL;
}

static enum status read_flags(const struct setting *table, size_t count, int argc,
                              char *const *argv, void *values,
                              char message[SETTINGS_MESSAGE_BYTES]) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        size_t name_len = strcspn(word, "=");
        const struct setting *setting = find_flag(table, count, bytes_of(word, name_len));
        if (setting == NULL) {
            snprintf(message, SETTINGS_MESSAGE_BYTES, "%.128s: no such flag; --help lists them",
                     word);
            return STATUS_UNSUPPORTED;
        }
        bool is_joined = word[name_len] == '=';
        bool is_presence = setting->kind == SETTING_PRESENCE;
        if (is_presence && is_joined) {
            snprintf(message, SETTINGS_MESSAGE_BYTES, "%s: takes no value", setting->flag);
            return STATUS_MALFORMED;
        }
        const char *value = is_joined ? word + name_len + 1 : NULL;
        if (!is_joined && !is_presence) {
            if (i + 1 == argc) {
                snprintf(message, SETTINGS_MESSAGE_BYTES, "%s: a value is missing", setting->flag);
                return STATUS_MALFORMED;
            }
            value = argv[++i];
        }
        enum status status = store(setting, setting->flag, value, values, message);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

enum status settings_read(const struct setting *table, size_t count, int argc, char *const *argv,
                          void *ret_values, char ret_message[SETTINGS_MESSAGE_BYTES]) {
    for (size_t i = 0; i < count; i++) {
        if (table[i].kind == SETTING_PRESENCE) {
            *(bool *)((char *)ret_values + table[i].offset) = false;
            continue;
        }
        enum status status = store(&table[i], table[i].flag, table[i].fallback, ret_values,
                                   ret_message);
        if (status != STATUS_OK) return status;
    }
    enum status status = read_environment(table, count, ret_values, ret_message);
    if (status != STATUS_OK) return status;
    return read_flags(table, count, argc, argv, ret_values, ret_message);
}

void settings_print_help(const struct setting *table, size_t count, FILE *out) {
    for (size_t i = 0; i < count; i++) {
        const struct setting *setting = &table[i];
        char range[128];
        print_range(setting, range, sizeof range);
        fprintf(out, "  %s%s%s%s\n", setting->flag != NULL ? setting->flag : "",
                setting->flag != NULL && setting->environment != NULL ? ", " : "",
                setting->environment != NULL ? setting->environment : "",
                setting->kind == SETTING_PRESENCE ? " (presence)" : "");
        fprintf(out, "      %s", setting->help);
        if (range[0] != '\0') fprintf(out, " (%s)", range);
        if (setting->fallback != NULL) fprintf(out, "; default %s", setting->fallback);
        fprintf(out, "\n");
    }
}

void settings_print_markdown(const struct setting *table, size_t count, FILE *out) {
    fprintf(out, "| flag | environment | default | allowed | what it does |\n");
    fprintf(out, "|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        const struct setting *setting = &table[i];
        char range[128];
        print_range(setting, range, sizeof range);
        if (setting->kind == SETTING_PRESENCE) snprintf(range, sizeof range, "present or absent");
        fprintf(out, "| %s%s%s | %s%s%s | %s%s%s | %s | %s |\n", setting->flag != NULL ? "`" : "",
                setting->flag != NULL ? setting->flag : "—", setting->flag != NULL ? "`" : "",
                setting->environment != NULL ? "`" : "",
                setting->environment != NULL ? setting->environment : "—",
                setting->environment != NULL ? "`" : "", setting->fallback != NULL ? "`" : "",
                setting->fallback != NULL ? setting->fallback : "—",
                setting->fallback != NULL ? "`" : "", range[0] != '\0' ? range : "text",
                setting->help);
    }
}
