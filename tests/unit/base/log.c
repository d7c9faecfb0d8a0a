// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static bool has_no_memory;

static void *failing_realloc(void *old, size_t size) {
    return has_no_memory ? NULL : realloc(old, size);
}

#define realloc failing_realloc
#include "base/bytes.c"
#undef realloc
#include "base/log.c"

// 2023-11-14T22:13:20.123Z
static const int64_t WALL_NS = INT64_C(1700000000123456789);

static int setup(void **state) {
    (void)state;
    has_no_memory = false;
    log_init(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    return 0;
}

// The line as text; freed by the next call.
static const char *line_of(enum log_format format, const char *message,
                           const struct log_field *fields) {
    static struct buffer line;
    buffer_done(&line);
    assert_int_equal(log_encode(&line, format, WALL_NS, LOG_LEVEL_INFO, message, fields),
                     STATUS_OK);
    assert_int_equal(buffer_append_byte(&line, '\0'), STATUS_OK);
    return (const char *)line.data;
}

#define FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.key = NULL}})

// Reads one JSON string of our kind; `out` gets the bytes that the escapes stand for.
static const char *read_json_string(const char *at, struct buffer *out) {
    assert_int_equal(*at++, '"');
    for (; *at != '"'; at++) {
        assert_in_range((unsigned char)*at, 0x20, 0x7e);
        char c = *at;
        if (c == '\\') {
            c = *++at;
            if (c == 'u') {
                char digits[5] = {at[1], at[2], at[3], at[4]};
                char *end;
                c = (char)strtol(digits, &end, 16);
                assert_ptr_equal(end, digits + 4);
                at += 4;
            } else {
                assert_true(c == '"' || c == '\\');
            }
        }
        assert_int_equal(buffer_append_byte(out, (uint8_t)c), STATUS_OK);
    }
    return at + 1;
}

// An object of strings, numbers and `true`, one line. Returns how many pairs; `out` gets the value
// of `key`.
static int check_json(const char *at, const char *key, struct buffer *out) {
    int count = 0;
    assert_int_equal(*at, '{');
    do {
        struct buffer name = {0};
        at = read_json_string(at + 1, &name);
        assert_int_equal(*at++, ':');
        struct buffer ignored = {0};
        bool is_wanted = bytes_equal(buffer_bytes(&name), bytes_of_text(key));
        if (*at == '"') {
            at = read_json_string(at, is_wanted ? out : &ignored);
        } else if (strncmp(at, "true", 4) == 0) {
            at += 4;
        } else {
            char *end;
            strtoll(at, &end, 10);
            assert_ptr_not_equal(end, at);
            at = end;
        }
        buffer_done(&name);
        buffer_done(&ignored);
        count++;
    } while (*at == ',');
    assert_string_equal(at, "}\n");
    return count;
}

static void test_log__a_logfmt_line_is_time_level_message_fields(void **state) {
    (void)state;
    assert_string_equal(
        line_of(LOG_FORMAT_LOGFMT, "listening",
                FIELDS(log_text("address", "127.0.0.1:6060"), log_number("port", -6060))),
        "time=2023-11-14T22:13:20.123Z level=info msg=listening address=127.0.0.1:6060 "
        "port=-6060\n");
}

static void test_log__a_json_line_has_the_same_order(void **state) {
    (void)state;
    assert_string_equal(
        line_of(LOG_FORMAT_JSON, "two words",
                FIELDS(log_text("address", "[::1]:6060"), log_number("port", INT64_MIN))),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\",\"msg\":\"two words\","
        "\"address\":\"[::1]:6060\",\"port\":-9223372036854775808}\n");
}

// Would catch: a value that a logfmt reader would take for two, or for a new pair.
static void test_log__logfmt_quotes_what_would_be_misread(void **state) {
    (void)state;
    static const struct {
        const char *value, *expected;
    } rows[] = {
        {"plain/path:1", "k=plain/path:1"},
        {"", "k=\"\""},
        {"a b", "k=\"a b\""},
        {"a=b", "k=\"a=b\""},
        {"a\"b", "k=\"a\\\"b\""},
        {"a\\b", "k=\"a\\\\b\""},
        {"a\nlevel=error", "k=\"a\\u000alevel=error\""},
        {"\t", "k=\"\\u0009\""},
        {"\x7f", "k=\"\\u007f\""},
        {"\xc3\xa9", "k=\"\\u00c3\\u00a9\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *line = line_of(LOG_FORMAT_LOGFMT, "m", FIELDS(log_text("k", rows[i].value)));
        const char *pair = strstr(line, "k=");
        assert_non_null(pair);
        assert_int_equal(strlen(pair), strlen(rows[i].expected) + 1);
        assert_memory_equal(pair, rows[i].expected, strlen(rows[i].expected));
    }
}

// Would catch: any byte that breaks the line or the JSON, NUL included.
static void test_log__json_carries_every_byte(void **state) {
    (void)state;
    uint8_t all[256];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    const char *line = line_of(LOG_FORMAT_JSON, "m",
                               FIELDS(log_bytes("k", bytes_of(all, sizeof all))));
    struct buffer value = {0};
    assert_int_equal(check_json(line, "k", &value), 4);
    assert_int_equal(value.len, sizeof all);
    assert_memory_equal(value.data, all, sizeof all);
    buffer_done(&value);
}

static void test_log__a_null_text_is_an_empty_one(void **state) {
    (void)state;
    assert_non_null(
        strstr(line_of(LOG_FORMAT_LOGFMT, "m", FIELDS(log_text("k", NULL))), " k=\"\""));
    assert_non_null(strstr(line_of(LOG_FORMAT_LOGFMT, "m", NULL), "msg=m\n"));
}

// A line of a field of `len` bytes between two others: valid, of one write's size, and what was cut
// is said.
static void check_cut_line(enum log_format format, size_t len, uint8_t fill) {
    uint8_t bytes[5000];
    memset(bytes, fill, sizeof bytes);
    const char *line = line_of(format, "m",
                               FIELDS(log_text("before", "b"), log_bytes("k", bytes_of(bytes, len)),
                                      log_text("after", "a")));
    size_t whole = strlen(line);
    assert_in_range(whole, 1, LINE_LIMIT_BYTES);
    assert_int_equal(line[whole - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + whole - 1);
    bool is_json = format == LOG_FORMAT_JSON;
    bool is_cut = strstr(line, is_json ? ",\"cut\":true}\n" : " cut=true\n") != NULL;
    bool has_after = strstr(line, is_json ? ",\"after\":\"a\"" : " after=a") != NULL;
    assert_int_equal(has_after, !is_cut);
    assert_non_null(strstr(line, is_json ? "\"before\":\"b\"" : " before=b"));
    if (!is_json) return;
    struct buffer value = {0};
    check_json(line, "k", &value);
    assert_true(value.len == 0 || value.len == len);
    buffer_done(&value);
}

// Would catch: half a value, a missing quote or brace at any length around the limit.
static void test_log__a_long_line_is_cut_where_it_stays_valid(void **state) {
    (void)state;
    for (size_t len = 3900; len < 4200; len++) {
        check_cut_line(LOG_FORMAT_LOGFMT, len, 'x');
        check_cut_line(LOG_FORMAT_JSON, len, 'x');
    }
    for (size_t len = 640; len < 700; len++) {
        check_cut_line(LOG_FORMAT_LOGFMT, len, '\n');
        check_cut_line(LOG_FORMAT_JSON, len, '\n');
    }
    check_cut_line(LOG_FORMAT_JSON, 5000, '"');
}

static void test_log__a_message_that_is_too_long_leaves_a_valid_line(void **state) {
    (void)state;
    char message[5001] = {0};
    memset(message, 'm', sizeof message - 1);
    struct buffer value = {0};
    const char *line = line_of(LOG_FORMAT_JSON, message, FIELDS(log_text("k", "v")));
    check_json(line, "k", &value);
    assert_non_null(strstr(line, "\"cut\":true"));
    assert_non_null(strstr(line, "\"level\":\"info\""));
    buffer_done(&value);
}

static void test_log__a_line_is_appended_and_the_buffers_limit_is_kept(void **state) {
    (void)state;
    struct buffer line = {.limit = 100000};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(log_encode(&line, LOG_FORMAT_LOGFMT, WALL_NS, LOG_LEVEL_WARN, "m", NULL),
                         STATUS_OK);
    }
    static const char once[] = "time=2023-11-14T22:13:20.123Z level=warn msg=m\n";
    assert_int_equal(line.len, 3 * strlen(once));
    assert_memory_equal(line.data + 2 * strlen(once), once, strlen(once));
    assert_int_equal(line.limit, 100000);
    buffer_done(&line);
}

// What `write` puts on standard error.
static size_t capture(void (*write)(void), char *text, size_t size) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    write();
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got; (got = read(ends[0], text + len, size - 1 - len)) > 0;) len += (size_t)got;
    text[len] = '\0';
    close(ends[0]);
    return len;
}

static void write_all_levels(void) {
    log_debug("one");
    log_info("two", log_number("n", 2));
    log_warn("three");
    log_error("four");
}

static void test_log__lines_below_the_level_are_dropped(void **state) {
    (void)state;
    char text[4096];
    log_init(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    capture(write_all_levels, text, sizeof text);
    assert_null(strstr(text, "msg=one"));
    assert_null(strstr(text, "msg=two"));
    assert_non_null(strstr(text, " level=warn msg=three\n"));
    assert_non_null(strstr(text, " level=error msg=four\n"));
    log_init(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    capture(write_all_levels, text, sizeof text);
    assert_non_null(strstr(text, "\"level\":\"debug\",\"msg\":\"one\"}\n"));
    assert_non_null(strstr(text, "\"msg\":\"two\",\"n\":2}\n"));
}

static void write_audit(void) {
    log_audit("looked", log_text("who", "a"), log_number("n", 1));
}

static void test_log__an_audit_line_is_json_at_any_level(void **state) {
    (void)state;
    char text[4096];
    log_init(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    capture(write_audit, text, sizeof text);
    assert_memory_equal(text, "{\"time\":\"", 9);
    assert_non_null(strstr(text, "\"msg\":\"looked\",\"who\":\"a\",\"n\":1}\n"));
}

static void write_one(void) {
    log_error("no more room");
}

// In a signal handler there is none to be had, either.
static void test_log__a_line_needs_no_memory(void **state) {
    (void)state;
    char text[4096];
    has_no_memory = true;
    capture(write_one, text, sizeof text);
    assert_non_null(strstr(text, "level=error msg=\"no more room\"\n"));
}

static void test_log__no_line_outgrows_its_room(void **state) {
    (void)state;
    static uint8_t text[LINE_LIMIT_BYTES], room[LINE_LIMIT_BYTES];
    memset(text, 'a', sizeof text);
    has_no_memory = true;
    for (size_t len = LINE_LIMIT_BYTES - 200; len <= LINE_LIMIT_BYTES; len++) {
        struct buffer line = {.data = room, .capacity = sizeof room};
        assert_int_equal(
            log_encode(&line, LOG_FORMAT_JSON, WALL_NS, LOG_LEVEL_INFO, "long",
                       FIELDS(log_text("a", "b"), log_bytes("text", bytes_of(text, len)),
                              log_number("n", 1))),
            STATUS_OK);
        assert_ptr_equal(line.data, room);
        assert_int_equal(room[line.len - 1], '\n');
    }
}
