// SPDX-License-Identifier: Apache-2.0
#include "extproc/process/models.c"

static struct models models = MODELS_INIT;
static char message[MODELS_MESSAGE_BYTES];

static void assert_answer(const char *expected) {
    struct arena arena;
    struct bytes answer;
    arena_init(&arena, NULL, 0, 1 << 20);
    assert_int_equal(models_read(&models, &arena, &answer), STATUS_OK);
    assert_int_equal(answer.len, strlen(expected));
    assert_memory_equal(answer.data, expected, answer.len);
    arena_reset(&arena);
}

#define MODEL(name)                                                                                \
    "{\"id\":\"" name "\",\"object\":\"model\",\"created\":7,\"owned_by\":\"gateway\"}"
#define LIST(data) "{\"object\":\"list\",\"data\":[" data "]}"

static void test_models__reads_lists_and_lines_and_comments(void **state) {
    (void)state;
    const char *texts[] = {"a,b/c", " a , b/c ,", "a\nb/c\n",
                           "# all, of them\r\na # one, two\r\n\n\tb/c"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(models_set(&models, bytes_of_text(texts[i]), 7, message), STATUS_OK);
        assert_int_equal(models_count(&models), 2);
        assert_answer(LIST(MODEL("a") "," MODEL("b/c")));
    }
    models_done(&models);
}

static void assert_refused(const char *text, const char *part) {
    assert_int_equal(models_set(&models, bytes_of_text(text), 8, message), STATUS_MALFORMED);
    if (strstr(message, part) == NULL) fail_msg("no %s in %s", part, message);
    assert_answer(LIST(MODEL("kept")));
}

static void test_models__keeps_its_list_when_the_new_one_is_bad(void **state) {
    (void)state;
    assert_int_equal(models_set(&models, BYTES_LITERAL("kept"), 7, message), STATUS_OK);
    assert_refused("", "no model is named");
    assert_refused(" \n# a\n,", "no model is named");
    assert_refused("ok,two words", "\"two words\" is no model");
    assert_refused("say\"", "visible ASCII");
    assert_refused("back\\slash", "visible ASCII");
    assert_refused("\xc3\xa4", "visible ASCII");
    assert_refused("a\1", "visible ASCII");
    models_done(&models);
}
