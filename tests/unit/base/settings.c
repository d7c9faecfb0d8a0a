// SPDX-License-Identifier: Apache-2.0
#include "base/settings.c"

struct values {
    const char *text, *other;
    int64_t count, bytes, duration, choice;
    bool is_present, is_flagged;
};

static const char *const choices[] = {"red", "green", "blue", NULL};

static const struct setting table[] = {
    {"--text", "TEST_TEXT", SETTING_TEXT, offsetof(struct values, text), "some", 0, 0, NULL, "A"},
    {"--other", NULL, SETTING_TEXT, offsetof(struct values, other), NULL, 0, 0, NULL, "B"},
    {"--count", "TEST_COUNT", SETTING_COUNT, offsetof(struct values, count), "4", -2, 64, NULL,
     "C"},
    {"--bytes", "TEST_BYTES", SETTING_BYTES, offsetof(struct values, bytes), "50Mi", 1 << 10,
     INT64_C(1) << 40, NULL, "D"},
    {"--duration", "TEST_DURATION", SETTING_DURATION, offsetof(struct values, duration), "5s", 0,
     3600 * NS_PER_SECOND, NULL, "E"},
    {"--choice", "TEST_CHOICE", SETTING_CHOICE, offsetof(struct values, choice), "green", 0, 0,
     choices, "F"},
    {NULL, "TEST_PRESENCE", SETTING_PRESENCE, offsetof(struct values, is_present), NULL, 0, 0, NULL,
     "G"},
    {"--flagged", NULL, SETTING_PRESENCE, offsetof(struct values, is_flagged), NULL, 0, 0, NULL,
     "H"},
};

static int setup(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (table[i].environment != NULL) unsetenv(table[i].environment);
    }
    return 0;
}

static struct values values;
static char message[SETTINGS_MESSAGE_BYTES];

static enum status read_words(const char *const *words) {
    int count = 0;
    while (words[count] != NULL) count++;
    memset(&values, 0xee, sizeof values);
    message[0] = '\0';
    return settings_read(table, COUNT_OF(table), count, (char *const *)words, &values, message);
}

// Reads a command line of these words; NULL: of none.
#define READ(...) read_words((const char *const[]){"program", __VA_ARGS__, NULL})

static void test_settings__defaults_hold_where_nothing_is_said(void **state) {
    (void)state;
    assert_int_equal(READ(NULL), STATUS_OK);
    assert_string_equal(values.text, "some");
    assert_null(values.other);
    assert_int_equal(values.count, 4);
    assert_int_equal(values.bytes, 50 << 20);
    assert_int_equal(values.duration, 5 * NS_PER_SECOND);
    assert_int_equal(values.choice, 1);
    assert_false(values.is_present);
    assert_false(values.is_flagged);
}

static void test_settings__a_flag_beats_the_environment_which_beats_the_default(void **state) {
    (void)state;
    setenv("TEST_COUNT", "7", 1);
    setenv("TEST_TEXT", "from the environment", 1);
    assert_int_equal(READ(NULL), STATUS_OK);
    assert_int_equal(values.count, 7);
    assert_string_equal(values.text, "from the environment");
    assert_int_equal(READ("--count", "9"), STATUS_OK);
    assert_int_equal(values.count, 9);
    assert_string_equal(values.text, "from the environment");
}

static void test_settings__a_value_follows_or_is_joined(void **state) {
    (void)state;
    assert_int_equal(READ("--count=9", "--text", "x=y"), STATUS_OK);
    assert_int_equal(values.count, 9);
    assert_string_equal(values.text, "x=y");
    assert_int_equal(READ("--text=a=b", "--text="), STATUS_OK);
    assert_string_equal(values.text, "");  // the last of a repeated flag counts
}

// DISABLE_PPROF= (nothing behind it) must disable.
static void test_settings__presence_is_any_value_also_an_empty_one(void **state) {
    (void)state;
    static const char *const any[] = {"", "0", "false", "1"};
    for (size_t i = 0; i < COUNT_OF(any); i++) {
        setenv("TEST_PRESENCE", any[i], 1);
        assert_int_equal(READ("--flagged"), STATUS_OK);
        assert_true(values.is_present);
        assert_true(values.is_flagged);
    }
    assert_int_equal(READ("--flagged=1"), STATUS_MALFORMED);
    assert_string_equal(message, "--flagged: takes no value");
}

static int64_t *field_of(const char *flag) {
    return strcmp(flag, "--count") == 0      ? &values.count
           : strcmp(flag, "--bytes") == 0    ? &values.bytes
           : strcmp(flag, "--duration") == 0 ? &values.duration
                                             : &values.choice;
}

static void test_settings__numbers_are_read_with_their_units_or_refused(void **state) {
    (void)state;
    static const struct {
        const char *flag, *value;
        enum status status;
        int64_t number;
    } rows[] = {
        {"--count", "0", STATUS_OK, 0},
        {"--count", "-0", STATUS_OK, 0},
        {"--count", "-2", STATUS_OK, -2},
        {"--count", "-3", STATUS_OUT_OF_RANGE, 0},
        {"--count", "64", STATUS_OK, 64},
        {"--count", "65", STATUS_OUT_OF_RANGE, 0},
        {"--count", "9223372036854775807", STATUS_OUT_OF_RANGE, 0},
        {"--count", "99999999999999999999", STATUS_OUT_OF_RANGE, 0},
        {"--count", "007", STATUS_OK, 7},
        {"--count", "", STATUS_MALFORMED, 0},
        {"--count", "-", STATUS_MALFORMED, 0},
        {"--count", "+1", STATUS_MALFORMED, 0},
        {"--count", " 1", STATUS_MALFORMED, 0},
        {"--count", "1 ", STATUS_MALFORMED, 0},
        {"--count", "- 1", STATUS_MALFORMED, 0},
        {"--count", "1.5", STATUS_MALFORMED, 0},
        {"--count", "1e1", STATUS_MALFORMED, 0},
        {"--count", "0x10", STATUS_MALFORMED, 0},
        {"--count", "1Ki", STATUS_MALFORMED, 0},
        {"--count", "true", STATUS_MALFORMED, 0},
        {"--bytes", "1024", STATUS_OK, 1024},
        {"--bytes", "1023", STATUS_OUT_OF_RANGE, 0},
        {"--bytes", "3Ki", STATUS_OK, 3 << 10},
        {"--bytes", "3Mi", STATUS_OK, 3 << 20},
        {"--bytes", "3Gi", STATUS_OK, INT64_C(3) << 30},
        {"--bytes", "1024Gi", STATUS_OK, INT64_C(1) << 40},
        {"--bytes", "1025Gi", STATUS_OUT_OF_RANGE, 0},
        {"--bytes", "9223372036854775807Gi", STATUS_OUT_OF_RANGE, 0},
        {"--bytes", "-9223372036854775807Gi", STATUS_OUT_OF_RANGE, 0},
        {"--bytes", "1k", STATUS_MALFORMED, 0},
        {"--bytes", "1KI", STATUS_MALFORMED, 0},
        {"--bytes", "1Ki ", STATUS_MALFORMED, 0},
        {"--bytes", "1 Ki", STATUS_MALFORMED, 0},
        {"--bytes", "Ki", STATUS_MALFORMED, 0},
        {"--duration", "0", STATUS_OK, 0},
        {"--duration", "0s", STATUS_OK, 0},
        {"--duration", "1500ms", STATUS_OK, 1500 * NS_PER_MS},
        {"--duration", "59m", STATUS_OK, 59 * 60 * NS_PER_SECOND},
        {"--duration", "60m", STATUS_OK, 3600 * NS_PER_SECOND},
        {"--duration", "3601s", STATUS_OUT_OF_RANGE, 0},
        {"--duration", "-1s", STATUS_OUT_OF_RANGE, 0},
        {"--duration", "9223372036854775807m", STATUS_OUT_OF_RANGE, 0},
        {"--duration", "5", STATUS_MALFORMED, 0},
        {"--duration", "5h", STATUS_MALFORMED, 0},
        {"--duration", "5S", STATUS_MALFORMED, 0},
        {"--duration", "5sec", STATUS_MALFORMED, 0},
        {"--choice", "red", STATUS_OK, 0},
        {"--choice", "blue", STATUS_OK, 2},
        {"--choice", "Red", STATUS_OUT_OF_RANGE, 0},
        {"--choice", "re", STATUS_OUT_OF_RANGE, 0},
        {"--choice", "", STATUS_OUT_OF_RANGE, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum status status = READ(rows[i].flag, rows[i].value);
        if (status != rows[i].status) print_error("%s %s\n", rows[i].flag, rows[i].value);
        assert_int_equal(status, rows[i].status);
        if (status != STATUS_OK) continue;
        assert_int_equal(*field_of(rows[i].flag), rows[i].number);
    }
}

static void test_settings__a_refusal_names_the_knob_the_value_and_the_range(void **state) {
    (void)state;
    READ("--count", "65");
    assert_string_equal(message, "--count: \"65\" is not accepted; allowed: -2 to 64");
    READ("--bytes=1");
    assert_string_equal(message, "--bytes: \"1\" is not accepted; allowed: 1Ki to 1024Gi, "
                                 "in bytes or with Ki, Mi or Gi");
    READ("--duration=5");
    assert_string_equal(message, "--duration: \"5\" is not accepted; allowed: 0 to 60m, "
                                 "with a unit: ms, s or m");
    READ("--choice=pink");
    assert_string_equal(message, "--choice: \"pink\" is not accepted; allowed: red, green, blue");
    setenv("TEST_COUNT", "many", 1);
    assert_int_equal(READ(NULL), STATUS_MALFORMED);
    assert_string_equal(message, "TEST_COUNT: \"many\" is not accepted; allowed: -2 to 64");
}

// Would catch: a message longer than its array.
static void test_settings__a_long_value_is_cut_in_the_message(void **state) {
    (void)state;
    char value[2000] = {0};
    memset(value, '9', sizeof value - 1);
    assert_int_equal(READ("--count", value), STATUS_OUT_OF_RANGE);
    assert_non_null(strstr(message, "allowed: -2 to 64"));
    memset(value, '-', sizeof value - 1);
    assert_int_equal(READ(value), STATUS_UNSUPPORTED);
    assert_non_null(strstr(message, "no such flag"));
    assert_in_range(strlen(message), 1, SETTINGS_MESSAGE_BYTES - 1);
}

static void test_settings__unknown_flags_stray_words_and_missing_values_are_refused(void **state) {
    (void)state;
    static const char *const unknown[] = {"--nosuch", "--nosuch=1", "--counts", "--coun",
                                          "-count",   "count",      "",         "--"};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_int_equal(READ(unknown[i]), STATUS_UNSUPPORTED);
        assert_non_null(strstr(message, "no such flag; --help lists them"));
        assert_memory_equal(message, unknown[i], strlen(unknown[i]));
    }
    assert_int_equal(READ("--count"), STATUS_MALFORMED);
    assert_string_equal(message, "--count: a value is missing");
    // An environment-only setting has no flag that could be guessed.
    assert_int_equal(READ("TEST_PRESENCE"), STATUS_UNSUPPORTED);
}

static char *print(void (*print_table)(const struct setting *, size_t, FILE *)) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    print_table(table, COUNT_OF(table), out);
    fclose(out);
    return text;
}

static void test_settings__help_has_every_setting_with_range_and_default(void **state) {
    (void)state;
    char *text = print(settings_print_help);
    assert_non_null(strstr(text, "  --count, TEST_COUNT\n      C (-2 to 64); default 4\n"));
    assert_non_null(strstr(text, "  --duration, TEST_DURATION\n      E (0 to 60m); default 5s\n"));
    assert_non_null(strstr(text, "  --choice, TEST_CHOICE\n      F (red, green, blue); default"));
    assert_non_null(strstr(text, "  --other\n      B\n"));
    assert_non_null(strstr(text, "  TEST_PRESENCE (presence)\n      G\n"));
    free(text);
}

static void test_settings__the_markdown_table_has_a_row_each_with_five_cells(void **state) {
    (void)state;
    char *text = print(settings_print_markdown);
    assert_non_null(strstr(text, "| `--bytes` | `TEST_BYTES` | `50Mi` | 1Ki to 1024Gi | D |\n"));
    assert_non_null(strstr(text, "| — | `TEST_PRESENCE` | — | present or absent | G |\n"));
    size_t lines = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        size_t bars = 0;
        for (const char *c = line; *c != '\0'; c++) bars += *c == '|';
        assert_int_equal(bars, 6);
        lines++;
    }
    assert_int_equal(lines, 2 + COUNT_OF(table));
    free(text);
}
