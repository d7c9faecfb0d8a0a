// SPDX-License-Identifier: Apache-2.0
// Values of settings of each kind, as arguments: never past their range, and a refusal always has
// its reason in one line's room.
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"

struct values {
    const char *text;
    int64_t count, bytes, duration, choice;
    bool is_present;
};

static const char *const choices[] = {"one", "two", "three", NULL};

static const struct setting table[] = {
    {"--text", NULL, SETTING_TEXT, offsetof(struct values, text), "t", 0, 0, NULL, ""},
    {"--count", NULL, SETTING_COUNT, offsetof(struct values, count), "1", -5, 1000, NULL, ""},
    {"--bytes", NULL, SETTING_BYTES, offsetof(struct values, bytes), "1Ki", 10, INT64_MAX, NULL,
     ""},
    {"--duration", NULL, SETTING_DURATION, offsetof(struct values, duration), "1s", 0, INT64_MAX,
     NULL, ""},
    {"--choice", NULL, SETTING_CHOICE, offsetof(struct values, choice), "one", 0, 0, choices, ""},
    {"--present", NULL, SETTING_PRESENCE, offsetof(struct values, is_present), NULL, 0, 0, NULL,
     ""},
};

static void check(bool is_true) {
    if (!is_true) abort();
}

// Each line of the input is an argument.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { WORDS_MOST = 16 };
    char *text = malloc(size + 1);
    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *words[WORDS_MOST] = {(char *)"program"};
    int count = 1;
    for (char *line = text; line != NULL && count < WORDS_MOST;) {
        words[count++] = line;
        line = strchr(line, '\n');
        if (line != NULL) *line++ = '\0';
    }
    struct values values;
    char message[SETTINGS_MESSAGE_BYTES];
    memset(message, 'x', sizeof message);
    enum status status = settings_read(table, sizeof table / sizeof table[0], count, words, &values,
                                       message);
    if (status == STATUS_OK) {
        check(values.text != NULL);
        check(values.count >= -5 && values.count <= 1000);
        check(values.bytes >= 10 && values.duration >= 0);
        check(values.choice >= 0 && values.choice <= 2);
    } else {
        check(memchr(message, '\0', sizeof message) != NULL && message[0] != '\0');
    }
    free(text);
    return 0;
}
