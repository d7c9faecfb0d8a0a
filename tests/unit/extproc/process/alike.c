// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/alike.c"

#include <stdio.h>
#include <stdlib.h>

static struct alike alike;

static int setup(void **state) {
    (void)state;
    alike_init(&alike);
    return 0;
}

static void keep(const char *event) {
    alike_keep(&alike, bytes_of_text(event));
}

// A piece in memory of its own: to read past its end would be seen.
static size_t measure(const char *text) {
    size_t length = strlen(text);
    uint8_t *piece = malloc(length + (length == 0));
    assert_non_null(piece);
    memcpy(piece, text, length);
    size_t measured = alike_measure(&alike, bytes_of(piece, length));
    free(piece);
    return measured;
}

// What comes behind an event is no part of it.
static void assert_alike(const char *event) {
    static const char *const behind[] = {"", "\n", "\ndata: {\"a\":1}\n", "\\\"\"x", "0"};
    for (size_t i = 0; i < COUNT_OF(behind); i++) {
        char text[2000];
        assert_true((size_t)snprintf(text, sizeof(text), "%s%s", event, behind[i]) < sizeof(text));
        assert_int_equal(measure(text), strlen(event));
    }
}

// Would catch: events that are read although they need not be.
static void test_alike__values_may_differ(void **state) {
    (void)state;
    keep("{\"id\":\"x\",\"n\":12,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":"
         "{\"content\":\" one\"},\"finish_reason\":null}],\"usage\":null}\n");
    static const char *const others[][4] = {
        {"x", "12", " one", "null"},
        {"x", "12", " two", "null"},
        {"x", "12", "", "null"},
        {"y", "13", " one and a half of what makes a longer one", "null"},
        {"x", "12", "\\n", "null"},
        {"x", "12", "\\\"\\\\\\u00e9\\\"", "null"},
        {"x", "12", "\xe4\xbd\xa0\xe5\xa5\xbd", "null"},
        {"x", "12", "\xf0\x9f\x98\x80", "null"},
        {"x", "12", "}]}", "\"stop\""},
        {"a longer id, and more numbers", "1", " on", "\"length\""},
        {"", "123", "one", "true"},
        {"", "-1.25", "one", "0"},
        {"", "0", "on", "false"},
        {"", "\"12\"", " one", "null"},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        const char *const *other = others[i];
        char text[500];
        snprintf(text, sizeof(text),
                 "{\"id\":\"%s\",\"n\":%s,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":"
                 "{\"content\":\"%s\"},\"finish_reason\":%s}],\"usage\":null}\n",
                 other[0], other[1], other[2], other[3]);
        assert_alike(text);
    }
}

// Each is kept, and the one beside it is not like it.
static void test_alike__what_matters_may_not(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"c\":2}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"b\":2,\"c\":3}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"b\":{}}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"b\":[2]}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"b\":2}}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"b\":}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"b\":2 3}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1 ,\"b\":2}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":01,\"b\":2}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":-,\"b\":2}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1.,\"b\":2}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1x,\"b\":2}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":nul,\"b\":2}\n"},
        {"{\"a\":1,\"b\":2}\n", "{\"a\":1,\"b\":2}\r"},
        {"{\"a\":1,\"b\":2}\n", "\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"x\\\"}\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"x\"y\"}\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"\\x\"}\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"\t\"}\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"\n\"}\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"\xff\"}\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"\xe4\xbd\"}\n"},
        {"{\"a\":\"x\"}\n", "{\"a\":\"x}\n{\"a\":\"x\"}\n"},
        {"12\n", "1 2\n"},
        {"{\"model\":\"m\",\"a\":1}\n", "{\"model\":\"n\",\"a\":1}\n"},
        {"{\"model\":\"m\",\"a\":1}\n", "{\"model\":null,\"a\":1}\n"},
        {"{\"model\":\"\",\"a\":1}\n", "{\"model\":\"m\",\"a\":1}\n"},
        {"{\"model\":null,\"a\":1}\n", "{\"model\":\"m\",\"a\":1}\n"},
        {"{\"a\":1,\"model\" : \"m\"}\n", "{\"a\":1,\"model\" : \"n\"}\n"},
        {"{\"response\":{\"model\":\"m\"}}\n", "{\"response\":{\"model\":\"n\"}}\n"},
        {"{\"usage\":null}\n", "{\"usage\":{}}\n"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        alike_init(&alike);
        keep(pairs[i][0]);
        assert_alike(pairs[i][0]);
        assert_int_equal(measure(pairs[i][1]), 0);
    }
}

static void test_alike__some_events_are_not_kept(void **state) {
    (void)state;
    static const char *const events[] = {
        "{\"usage\":{\"total_tokens\":1}}\n",
        "{\"response\":{\"usage\" : {}}}\n",
        "{\"us\\u0061ge\":{\"total_tokens\":1}}\n",
        "{\"m\\u006fdel\":\"m\"}\n",
        "{\"a\":1e5}\n",
    };
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        alike_init(&alike);
        keep("{}\n");
        keep(events[i]);
        assert_int_equal(measure(events[i]), 0);
        assert_int_equal(measure("{}\n"), 0);
    }
}

static void test_alike__nothing_is_alike_when_nothing_is_kept(void **state) {
    (void)state;
    assert_int_equal(measure(""), 0);
    assert_int_equal(measure("{}\n"), 0);
    keep("{}\n");
    alike_keep(&alike, BYTES_EMPTY);
    assert_int_equal(measure("{}\n"), 0);
    assert_int_equal(measure(""), 0);
}

// A beginning is not enough, wherever it ends: the rest may be anything.
static void test_alike__an_event_that_is_cut_is_not_alike(void **state) {
    (void)state;
    static const char event[] =
        "{\"a\":\"x\",\"b\":[-12.5,true],\"long enough\":\"for a block\"}\n";
    char text[sizeof(event)] = {0};
    keep(event);
    for (size_t length = 0; length < sizeof(event) - 1; length++) {
        memcpy(text, event, length);
        assert_int_equal(measure(text), 0);
    }
}

static void write_event(char *text, size_t length) {
    memset(text, 'x', length);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + length - 3, "\"}\n", 4);
}

static void test_alike__a_long_event_is_not_kept(void **state) {
    (void)state;
    char text[ALIKE_TEXT_MOST_BYTES + 2];
    write_event(text, ALIKE_TEXT_MOST_BYTES + 1);
    keep(text);
    assert_int_equal(measure(text), 0);
    assert_int_equal(alike.credit, CREDIT_FIRST);
    write_event(text, ALIKE_TEXT_MOST_BYTES);
    keep(text);
    assert_alike(text);
    assert_alike("{\"a\":\"y\"}\n");
}

// Twice as many values as are remembered, and this one.
static const char *list_ending_with(const char *last) {
    static char text[ALIKE_TEXT_MOST_BYTES];
    size_t length = 0;
    for (int i = 0; i < 2 * ALIKE_PLACES_MOST; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%c7", i == 0 ? '[' : ',');
    }
    snprintf(text + length, sizeof(text) - length, ",%s]\n", last);
    return text;
}

// Would catch: a usage that is not seen there.
static void test_alike__values_past_the_most_may_not_differ(void **state) {
    (void)state;
    keep(list_ending_with("8"));
    assert_alike(list_ending_with("8"));
    assert_int_equal(measure(list_ending_with("9")), 0);
    keep(list_ending_with("{\"usage\":{}}"));
    assert_int_equal(measure(list_ending_with("{\"usage\":{}}")), 0);
}

// Would catch: a stream of events that are never alike paying for it at each.
static void test_alike__events_are_kept_as_long_as_it_pays_off(void **state) {
    (void)state;
    char text[] = "{\"a\":1}\n";
    for (int i = 0; i < 2 * CREDIT_FIRST; i++) {
        text[2] = (char)('a' + i);
        assert_int_equal(measure(text), 0);
        keep(text);
    }
    assert_int_equal(alike.credit, 0);
    assert_int_equal(alike.text_bytes, 0);
    alike.credit = 1;
    keep(text);
    for (size_t i = 1; i < 2 * CREDIT_MOST; i++) {
        assert_int_equal(measure(text), sizeof(text) - 1);
        assert_int_equal(alike.credit, i < CREDIT_MOST ? i : CREDIT_MOST);
    }
}
