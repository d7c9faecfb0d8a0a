// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/scan.c"

#include <stdio.h>
#include <stdlib.h>

// Tokens as text, such as `{ k:a 1 }`, and what ended them.
static struct buffer told;

static int teardown(void **state) {
    (void)state;
    buffer_done(&told);
    told = (struct buffer){0};
    return 0;
}

static void tell(const struct scan *scan, enum scan_token token) {
    static const char *const words[] = {
        [SCAN_KEY] = "k:",      [SCAN_STRING] = "s:",    [SCAN_NUMBER] = "",
        [SCAN_TRUE] = "true",   [SCAN_FALSE] = "false",  [SCAN_NULL] = "null",
        [SCAN_OBJECT] = "{",    [SCAN_OBJECT_END] = "}", [SCAN_ARRAY] = "[",
        [SCAN_ARRAY_END] = "]",
    };
    enum status status = buffer_append_format(&told, "%s%s", told.len != 0 ? " " : "",
                                              words[token]);
    if (token == SCAN_KEY || token == SCAN_STRING) {
        status = buffer_append(&told, scan->text_is_cut ? BYTES_LITERAL("...") : scan->text);
    }
    if (token == SCAN_NUMBER) {
        status = scan->is_whole
                     ? buffer_append_format(&told, "%llu", (unsigned long long)scan->number)
                     : buffer_append_text(&told, "number");
    }
    assert_int_equal(status, STATUS_OK);
}

// Values of keys that begin with '-' are skipped, and so is the rest of what opens behind a '+'.
static bool read_in_steps(const char *text, size_t length, size_t step, struct fault *ret_fault) {
    uint8_t room[12];
    struct scan scan;
    enum scan_token token = SCAN_MORE;
    told.len = 0;
    scan_init(&scan, room, sizeof(room));
    for (size_t start = 0; start < length && token != SCAN_FAULT; start += step) {
        size_t rest = length - start, piece_bytes = rest < step ? rest : step;
        uint8_t *piece = malloc(piece_bytes);
        assert_non_null(piece);
        memcpy(piece, text + start, piece_bytes);
        scan_add(&scan, bytes_of(piece, piece_bytes));
        bool is_plus = false;
        while ((token = scan_next(&scan)) > SCAN_MORE) {
            tell(&scan, token);
            if (token == SCAN_KEY && scan.text.len != 0 && scan.text.data[0] == '-') {
                scan_skip(&scan);
            }
            if (is_plus && (token == SCAN_OBJECT || token == SCAN_ARRAY)) scan_skip(&scan);
            is_plus = token == SCAN_KEY && scan.text.len != 0 && scan.text.data[0] == '+';
        }
        free(piece);
    }
    bool is_json = scan_end(&scan);
    *ret_fault = scan.fault;
    return is_json;
}

static void assert_tokens(const char *text, const char *want) {
    struct fault fault;
    size_t length = strlen(text);
    assert_true(read_in_steps(text, length, length + 1, &fault));
    assert_int_equal(buffer_append_byte(&told, '\0'), STATUS_OK);
    assert_string_equal((const char *)told.data, want);
}

// The same however it is cut.
static void assert_tokens_cut(const char *text, const char *want) {
    struct fault fault;
    assert_tokens(text, want);
    for (size_t step = 1; step < 20; step++) {
        assert_true(read_in_steps(text, strlen(text), step, &fault));
        assert_int_equal(told.len, strlen(want));
        assert_memory_equal(told.data, want, told.len);
    }
}

static void test_scan__tells_the_tokens_of_a_text(void **state) {
    (void)state;
    assert_tokens_cut("{}", "{ }");
    assert_tokens_cut(" [ ] ", "[ ]");
    assert_tokens_cut("{\"a\":1,\"b\":[true,false,null,\"x\"],\"c\":{\"d\":{}}}",
                      "{ k:a 1 k:b [ true false null s:x ] k:c { k:d { } } }");
    assert_tokens_cut("\r\n\t[\"\" , \"a b\"]\n", "[ s: s:a b ]");
    assert_tokens_cut("\"alone\"", "s:alone");
}

static void test_scan__texts_are_without_their_escapes(void **state) {
    (void)state;
    assert_tokens_cut("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[ s:\"\\/\b\f\n\r\t ]");
    assert_tokens_cut("[\"\\u0041\\u00e9\\u20ac\"]", "[ s:A\xc3\xa9\xe2\x82\xac ]");
    assert_tokens_cut("[\"\\u1234\\u5678\\u9AbC\"]", "[ s:\xe1\x88\xb4\xe5\x99\xb8\xe9\xaa\xbc ]");
    assert_tokens_cut("[\"\\ubcDe\\uFfaB\"]", "[ s:\xeb\xb3\x9e\xef\xbe\xab ]");
    assert_tokens_cut("[\"a\\ud83d\\uDE00z\"]", "[ s:a\xf0\x9f\x98\x80z ]");
    assert_tokens_cut("[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]",
                      "[ s:\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 ]");
}

static void test_scan__a_text_over_the_room_is_cut_and_the_next_is_not(void **state) {
    (void)state;
    assert_tokens_cut("[\"123456789012\",\"1234567890123\",\"a\\n12345678901\",\"b\"]",
                      "[ s:123456789012 s:... s:... s:b ]");
}

static void test_scan__what_is_skipped_makes_no_token(void **state) {
    (void)state;
    assert_tokens_cut("{\"-a\":1,\"-b\":{\"x\":[{}],\"y\":\"\\n\"},\"-c\":\"s\",\"-d\":[],\"e\":2}",
                      "{ k:-a k:-b k:-c k:-d k:e 2 }");
    assert_tokens("{\"+a\":{\"x\":[{}]},\"+b\":[1,[2]],\"+c\":{},\"+d\":3}",
                  "{ k:+a { k:+b [ k:+c { k:+d 3 }");
}

static void test_scan__numbers_are_whole_or_not(void **state) {
    (void)state;
    assert_tokens("[0,7,10,18446744073709551615]", "[ 0 7 10 18446744073709551615 ]");
    assert_tokens("[18446744073709551616,99999999999999999999999,-1,-0,1.0,1e2,0.5E-7,1e+0]",
                  "[ number number number number number number number number ]");
    uint8_t room[1];
    struct scan scan;
    scan_init(&scan, room, sizeof(room));
    scan_add(&scan, BYTES_LITERAL("42"));
    assert_int_equal(scan_next(&scan), SCAN_MORE);
    assert_true(scan_end(&scan));
    assert_int_equal(scan.number, 42);
}

static const struct {
    const char *text;
    size_t offset;
    const char *part;
} bad[] = {
    {"", 0, "ends too early"},
    {" ", 1, "ends too early"},
    {"{", 1, "ends too early"},
    {"{\"a\"", 4, "ends too early"},
    {"[1", 2, "ends too early"},
    {"[1,]", 3, "a value is expected"},
    {"{\"a\":1,}", 7, "a key in quotes is expected"},
    {"{a:1}", 1, "a key in quotes or '}'"},
    {"{\"a\" 1}", 5, "':' is expected"},
    {"{\"a\":}", 5, "a value is expected"},
    {"{\"a\":1 \"b\":2}", 7, "',' or the end"},
    {"{\"a\"}", 4, "':' is expected"},
    {"[1}", 2, "',' or the end"},
    {"[}", 1, "a value or ']'"},
    {"{]", 1, "a key in quotes or '}'"},
    {"'a'", 0, "a value"},
    {"[1] x", 4, "nothing may follow"},
    {"{}{}", 2, "nothing may follow"},
    {"]", 0, "a value"},
    {",", 0, "a value"},
    {"// c\n1", 0, "a value"},
    {"NaN", 0, "a value"},
    {"\xef\xbb\xbf{}", 0, "a value"},
    {"\"\x01\"", 1, "control character"},
    {"\"\x1f\"", 1, "control character"},
    {"\"a", 2, "ends too early"},
    {"\"\xff\"", 1, "UTF-8"},
    {"\"\xc0\x80\"", 1, "UTF-8"},          // overlong
    {"\"\xe0\x80\x80\"", 2, "UTF-8"},      // overlong
    {"\"\xed\xa0\x80\"", 2, "UTF-8"},      // a surrogate
    {"\"\xf4\x90\x80\x80\"", 2, "UTF-8"},  // past the last character
    {"\"\xe2\x82\"", 3, "UTF-8"},          // cut by the quote
    {"\"\\x\"", 2, "unknown escape"},
    {"\"\\u12g4\"", 5, "hexadecimal"},
    {"\"\\ud800\"", 7, "surrogate"},
    {"\"\\ud800x\\udc00\"", 7, "surrogate"},
    {"\"\\ud800\\n\"", 8, "unknown escape"},
    {"\"\\ud800\\u0041\"", 12, "surrogate"},
    {"\"\\udc00\"", 6, "surrogate"},
    {"01", 1, "malformed number"},
    {"-", 1, "ends too early"},
    {"-x", 1, "ends too early"},
    {"1.", 2, "ends too early"},
    {"[1.]", 3, "a number ends too early"},
    {"1.e5", 2, "malformed number"},
    {"1e", 2, "ends too early"},
    {"+1", 0, "a value"},
    {".5", 0, "a value"},
    {"1-2", 1, "malformed number"},
    {"tru", 3, "ends too early"},
    {"trux", 3, "unknown word"},
    {"nul ", 3, "unknown word"},
};

static void test_scan__is_strict_and_says_where(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        for (size_t step = 1; step < 30; step += 28) {
            struct fault fault = {0};
            assert_false(read_in_steps(bad[i].text, strlen(bad[i].text), step, &fault));
            assert_int_equal(fault.status, STATUS_MALFORMED);
            bool is_same = strstr(fault.what, bad[i].part) != NULL && fault.offset == bad[i].offset;
            if (!is_same) fail_msg("%s: %s at %zu", bad[i].text, fault.what, fault.offset);
        }
    }
}

static void test_scan__is_as_strict_with_what_is_skipped(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (bad[i].text[0] != '"' || strstr(bad[i].part, "ends too early") != NULL) continue;
        char text[64];
        struct fault fault = {0};
        snprintf(text, sizeof(text), "{\"-\":[%s,\"0123456789\"]}", bad[i].text);
        assert_false(read_in_steps(text, strlen(text), sizeof(text), &fault));
        bool is_same = strstr(fault.what, bad[i].part) != NULL && fault.offset == bad[i].offset + 6;
        if (!is_same) fail_msg("%s: %s at %zu", text, fault.what, fault.offset);
    }
    assert_tokens_cut(
        "{\"-\":\"\\\\\\\"\\u0041\\uD83D\\udE00\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\n\",\"e\":2}",
        "{ k:- k:e 2 }");
}

static void test_scan__depth_has_a_limit(void **state) {
    (void)state;
    char text[2 * SCAN_DEPTH_MOST + 3];
    struct fault fault;
    memset(text, '[', SCAN_DEPTH_MOST);
    memset(text + SCAN_DEPTH_MOST, ']', SCAN_DEPTH_MOST);
    assert_true(read_in_steps(text, 2 * SCAN_DEPTH_MOST, 3000, &fault));
    memset(text, '[', SCAN_DEPTH_MOST + 1);
    assert_false(read_in_steps(text, SCAN_DEPTH_MOST + 1, 3000, &fault));
    assert_int_equal(fault.offset, SCAN_DEPTH_MOST);
}

static void test_scan__nothing_may_follow_what_is_skipped_as_a_whole(void **state) {
    (void)state;
    static const char *const ends[] = {"", " ", ",1", ":", "]", "1", "[]"};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        uint8_t room[1];
        struct scan scan;
        char text[32];
        int length = snprintf(text, sizeof(text), "[1,[2]]%s", ends[i]);
        scan_init(&scan, room, sizeof(room));
        scan_add(&scan, bytes_of(text, (size_t)length));
        assert_int_equal(scan_next(&scan), SCAN_ARRAY);
        scan_skip(&scan);
        assert_int_equal(scan_next(&scan), i < 2 ? SCAN_MORE : SCAN_FAULT);
        assert_int_equal(scan_end(&scan), i < 2);
        if (i >= 2) assert_int_equal(scan.fault.offset, strlen("[1,[2]]"));
    }
}

// Deeper than what is kept in one word, in objects and arrays by turns; and one end is wrong.
static void test_scan__each_end_is_that_of_what_it_ends(void **state) {
    (void)state;
    enum { PAIRS = 150 };
    char text[8 * PAIRS + 1];
    struct fault fault;
    size_t middle = 0;
    for (size_t i = 0; i < PAIRS; i++) middle += (size_t)sprintf(text + middle, "[{\"\":");
    text[middle++] = '0';
    for (size_t i = 0; i < PAIRS; i++) memcpy(text + middle + 2 * i, "}]", 2);
    size_t length = middle + 2 * PAIRS;
    for (size_t step = 1; step < 3000; step += 2998) {
        assert_true(read_in_steps(text, length, step, &fault));
        for (size_t at = middle; at < length; at++) {
            text[at] ^= '}' ^ ']';
            assert_false(read_in_steps(text, length, step, &fault));
            assert_int_equal(fault.offset, at);
            text[at] ^= '}' ^ ']';
        }
    }
}

// What is skipped is read by blocks, and by single bytes where the pieces are: both come to the
// same for every two of these wherever they stand in a block.
static void test_scan__blocks_and_bytes_agree(void **state) {
    (void)state;
    static const char *const parts[] = {
        "x",
        "\"",
        "\\",
        "\\\\",
        "\\\\\\",
        "\\\"",
        "\\n",
        "\\x",
        "\x1f",
        "\xc3\xa9",
        "\xe2\x82",
        "\xe2\x82\xac",
        "\xf0\x9f\x98\x80",
        "\\u2014",
        "\\u20g4",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\ude00",
        "\\\xc3\xa9",
        "\\\x1f",
    };
    char text[256];
    for (size_t one = 0; one < COUNT_OF(parts); one++) {
        for (size_t other = 0; other < COUNT_OF(parts); other++) {
            for (int before = 58; before < 68; before++) {
                struct fault whole = {0}, cut = {0};
                int length = snprintf(text, sizeof(text), "{\"-\":[\"%0*d%s%s%070d\",[1]]}", before,
                                      0, parts[one], parts[other], 0);
                bool is_json = read_in_steps(text, (size_t)length, sizeof(text), &whole);
                assert_int_equal(read_in_steps(text, (size_t)length, 1, &cut), is_json);
                bool is_same = whole.what == cut.what && whole.offset == cut.offset;
                if (!is_same) fail_msg("%s: %s at %zu", text, whole.what, whole.offset);
            }
        }
    }
}

// Tokens that nobody wants, wherever a piece ends.
static void test_scan__skips_the_same_wherever_it_is_cut(void **state) {
    (void)state;
    assert_tokens_cut(
        "{\"-a\":{\"b\":[1,-2.5,3e4,0,{}, [ ] ,[[]],{\"c\" : \"a longer text, \\\\ and on\"}],"
        "\"d\":true , \"e\":false,\"f\":null},\"-g\":-0.5,\"-h\":true,\"-i\":{},\"j\":1}",
        "{ k:-a k:-g k:-h k:-i k:j 1 }");
    static const char *const wrong[] = {
        "4-0",  "1.5.2",    "1+",       "2E",        "01",         "1.",        "-",
        "1.e5", "trux",     "nul",      "fals ",     "[1}",        "[1,]",      "{1:2}",
        "{,}",  "{\"a\",}", "{\"a\":}", "[\"a\" 1]", "{\"a\":1,}", "{\"a\" 1}",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[64];
        struct fault whole = {0}, cut = {0};
        int length = snprintf(text, sizeof(text), "{\"-\":[0,%s,\"0123456789\"]}", wrong[i]);
        assert_false(read_in_steps(text, (size_t)length, sizeof(text), &whole));
        assert_false(read_in_steps(text, (size_t)length, 1, &cut));
        assert_ptr_equal(whole.what, cut.what);
        assert_int_equal(whole.offset, cut.offset);
    }
}

// Each byte at each place of a vector's worth of plain text, in which the eye of the scanner jumps.
static void test_scan__no_byte_is_overlooked(void **state) {
    (void)state;
    char text[64];
    struct fault fault;
    for (int c = 0; c < 256; c++) {
        bool is_plain = c >= ' ' && c < 0x80 && c != '"' && c != '\\';
        for (size_t at = 1; at < 40; at++) {
            memset(text, 'x', sizeof(text));
            text[0] = text[50] = '"';
            text[at] = (char)c;
            assert_int_equal(read_in_steps(text, 51, 100, &fault), is_plain);
        }
    }
}

// Ways to read a text: token by token the long way, as users do, and with what is not wanted passed
// over, by scan_skip behind each such key or by the lengths of those that are.
enum way { BY_STEPS, ALL, BY_SKIPPING, BY_LENGTHS };

static bool is_odd(const struct scan *scan) {
    return scan->text_is_cut || scan->text.len % 2 == 1;
}

static void note(struct buffer *log, const struct scan *scan, enum scan_token token) {
    bool is_text = token == SCAN_KEY || token == SCAN_STRING, is_number = token == SCAN_NUMBER;
    struct bytes text = is_text ? scan->text : BYTES_EMPTY;
    unsigned long long number = is_number && scan->is_whole ? scan->number : 0;
    assert_int_equal(buffer_append_format(log, "%d %zu-%zu %zu %d %d %llu %.*s\n", token,
                                          scan->token_offset, scan_offset(scan), scan->depth,
                                          is_text && scan->text_is_cut, is_number && scan->is_whole,
                                          number, (int)text.len, (const char *)text.data),
                     STATUS_OK);
}

static void note_piece(struct buffer *log, struct scan *scan, enum way way) {
    int token;
    while ((token = way == BY_STEPS ? step_token(scan) : (int)scan_next(scan)) > SCAN_MORE ||
           token == NO_TOKEN) {
        bool is_skipped = way == BY_SKIPPING && token == SCAN_KEY && is_odd(scan);
        if (is_skipped) scan_skip(scan);
        if (token != NO_TOKEN && !is_skipped) note(log, scan, (enum scan_token)token);
    }
}

// In a piece of `first` bytes, and the rest in such of `step` bytes.
static void note_text(struct buffer *log, struct bytes text, size_t first, size_t step,
                      enum way way) {
    uint8_t room[12];
    struct scan scan;
    log->len = 0;
    scan_init(&scan, room, sizeof(room));
    if (way == BY_LENGTHS) scan.key_lengths = UINT64_C(0x5555555555555555);
    for (size_t start = 0; start < text.len;) {
        size_t most = start == 0 ? first : step, rest = text.len - start;
        size_t piece_bytes = rest < most ? rest : most;
        uint8_t *piece = malloc(piece_bytes);
        assert_non_null(piece);
        memcpy(piece, text.data + start, piece_bytes);
        scan_add(&scan, bytes_of(piece, piece_bytes));
        note_piece(log, &scan, way);
        free(piece);
        start += piece_bytes;
    }
    if (scan_end(&scan)) return;
    assert_int_equal(buffer_append_format(log, "%s at %zu\n", scan.fault.what, scan.fault.offset),
                     STATUS_OK);
}

static void assert_same(const struct buffer *one, const struct buffer *other, struct bytes text) {
    if (bytes_equal(buffer_bytes(one), buffer_bytes(other))) return;
    fail_msg("%.*s\n%.*s\n%.*s", (int)text.len, (const char *)text.data, (int)one->len,
             (const char *)one->data, (int)other->len, (const char *)other->data);
}

// The straight line and the steps, whole and in single bytes, and the two ways to pass over.
static void assert_all_ways_agree(struct bytes text) {
    struct buffer whole = {0}, other = {0};
    note_text(&whole, text, text.len, 1, ALL);
    note_text(&other, text, text.len, 1, BY_STEPS);
    assert_same(&whole, &other, text);
    note_text(&other, text, 1, 1, ALL);
    assert_same(&whole, &other, text);
    note_text(&whole, text, text.len, 1, BY_LENGTHS);
    note_text(&other, text, text.len, 1, BY_SKIPPING);
    assert_same(&whole, &other, text);
    note_text(&other, text, 1, 1, BY_LENGTHS);
    assert_same(&whole, &other, text);
    buffer_done(&whole);
    buffer_done(&other);
}

// Compact, with gaps everywhere, with an end of which each token has its vector's worth behind it,
// and with all that a text can have.
static const char *const good[] = {
    "{\"a\":1,\"bc\":{\"def\":[true,false,null,\"x\",-0,10,{}],\"gh\":\"ij\"},\"k\":[[],{}],"
    "\"lm\":18446744073709551615}",
    "\t{ \"a\" : 1 , \"bc\"\n:\r[ 0 , { \"de\" : { } , \"f\" : [ ] } , true ] , \"gh\" : \"\" ,"
    "\"k\" : 0.5 } ",
    "[{\"twelve bytes\":\"thirteen byte\",\"fourteen bytes\":\"sixteen bytes ..\",\"\":null},"
    "12,1e5,0.25,-1.5E+10,184467440737095516150,9999999999999999999,9,7]                    ",
    "{\"\\u0061\\n\":\"\xc3\xa9\\ud83d\\ude00\",\"\xe2\x82\xac.\":[\"\\\\\",\"a much longer "
    "text, more than a block of it, with an \\\"escape\\\" here, and without one there: "
    "0123456789012345678901234567890123456789\",\"\\/\"]}                ",
};

static void test_scan__says_the_same_wherever_it_is_cut(void **state) {
    (void)state;
    struct buffer whole = {0}, cut = {0};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct bytes text = bytes_of_text(good[i]);
        for (enum way way = ALL; way <= BY_LENGTHS; way++) {
            note_text(&whole, text, text.len, 1, way);
            for (size_t first = 1; first < text.len; first++) {
                note_text(&cut, text, first, text.len, way);
                assert_same(&whole, &cut, text);
            }
        }
        assert_all_ways_agree(text);
    }
    buffer_done(&whole);
    buffer_done(&cut);
}

// With any byte another one, most of which make it wrong, or the text shorter.
static void test_scan__says_the_same_of_what_is_wrong(void **state) {
    (void)state;
    static const char others[] = "\"\\{}[],: \n0159-+.eEtfnx\x01\xff\xc3";
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint8_t text[300];
        size_t length = strlen(good[i]);
        assert_true(length <= sizeof(text));
        memcpy(text, good[i], length);
        for (size_t at = 0; at < length; at++) {
            assert_all_ways_agree(bytes_of(text, at));
            for (size_t other = 0; other < sizeof(others) - 1; other++) {
                text[at] = (uint8_t)others[other];
                assert_all_ways_agree(bytes_of(text, length));
            }
            text[at] = (uint8_t)good[i][at];
        }
    }
}
