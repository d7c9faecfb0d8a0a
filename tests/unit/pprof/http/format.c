// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/format.c"

static const struct profile_type types[SAMPLE_VALUES] = {{"objects", "count"}, {"space", "bytes"}};
static struct answer answer;

static bool ask(const char *query, const char *default_type, struct format *ret_format) {
    answer_done(&answer);
    answer = (struct answer){0};
    const struct request request = {.method = "GET", .query = bytes_of_text(query)};
    return format_read(&request, types, default_type, ret_format, &answer);
}

static void test_format__without_the_parameter_it_is_a_protobuf(void **state) {
    (void)state;
    static const char *const queries[] = {"", "format", "format=", "sample_index=nosuch",
                                          "Format=x"};
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        struct format format = {0};
        assert_true(ask(queries[i], NULL, &format));
        assert_ptr_equal(format.write, write_protobuf);
        assert_false(format.is_text);
    }
}

static void test_format__the_first_value_is_pprof_s_choice(void **state) {
    (void)state;
    static const struct {
        const char *query, *default_type;
        size_t value;
    } rows[] = {
        {"format=top", NULL, 1},
        {"format=top", "objects", 0},
        {"format=folded&sample_index=space", "objects", 1},
        {"format=folded&sample_index=objects", NULL, 0},
        {"format=folded&sample_index=", "objects", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct format format = {0};
        assert_true(ask(rows[i].query, rows[i].default_type, &format));
        assert_true(format.is_text);
        assert_int_equal(format.value, rows[i].value);
    }
}

static void test_format__what_is_wrong_is_named_with_what_is_right(void **state) {
    (void)state;
    static const struct {
        const char *query, *sentence;
    } rows[] = {
        {"format=svg", "invalid value for \"format\" - must be folded or top\n"},
        {"format=TOP", "invalid value for \"format\" - must be folded or top\n"},
        {"format=top&sample_index=cpu",
         "invalid value for \"sample_index\" - must be one of objects space\n"},
        {"format=top&sample_index=spac",
         "invalid value for \"sample_index\" - must be one of objects space\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct format format = {0};
        assert_false(ask(rows[i].query, NULL, &format));
        assert_int_equal(answer.status, 400);
        assert_true(bytes_equal(buffer_bytes(&answer.body), bytes_of_text(rows[i].sentence)));
    }
    answer_done(&answer);
}
