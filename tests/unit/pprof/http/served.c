// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/served.c"

static char message[PPROF_MESSAGE_BYTES];

static int teardown(void **state) {
    (void)state;
    return served_init(NULL, message);
}

static void test_served__a_list_is_all_there_is(void **state) {
    (void)state;
    assert_int_equal(served_init("profile,symbol", message), 0);
    assert_true(served_has("profile"));
    assert_true(served_has("symbol"));
    assert_false(served_has("cmdline"));
    assert_false(served_has("profil"));
    assert_false(served_has("profiles"));
}

static void test_served__names_with_a_dash_are_taken_away(void **state) {
    (void)state;
    assert_int_equal(served_init("-cmdline,-symbol", message), 0);
    assert_false(served_has("cmdline"));
    assert_false(served_has("symbol"));
    assert_true(served_has("profile"));
    assert_true(served_has("heap"));
}

static void test_served__without_a_list_it_is_everything(void **state) {
    (void)state;
    assert_int_equal(served_init(NULL, message), 0);
    assert_true(served_has("cmdline"));
    assert_int_equal(served_init("", message), 0);
    assert_true(served_has("cmdline"));
}

// Would catch: a slip of the pen that leaves cmdline served.
static void test_served__a_name_of_nothing_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"-cmdlin", "cmdline,nosuch",  "profile,-cmdline",
                                      ",",       "profile,,symbol", "profile, symbol",
                                      "-",       "index",           "-cmdline,symbol"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (served_init(bad[i], message) != -EINVAL) print_error("%s\n", bad[i]);
        assert_int_equal(served_init(bad[i], message), -EINVAL);
        assert_memory_equal(message, "PPROF_PROFILES: ", 16);
    }
}
