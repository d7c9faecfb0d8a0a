# SPDX-License-Identifier: Apache-2.0
# Writes the main function of a unit test file: it includes the file and runs what it finds there by
# name.
#
#     static void test_<file>__<sentence_that_holds>(void **state)     a test
#     static int  setup(void **state), teardown(void **state)         around each test (optional)
#     static int  setup_<rest of a test's name>, teardown_<...>       around that one test instead
#     static int  setup_all(void **state), teardown_all(void **state) once around the file
function name_of(line) {
    sub(/^static (void|int) /, "", line)
    sub(/\(.*/, "", line)
    return line
}
/^static void test_[a-z0-9_]+\(void \*\*/ { tests[++count] = name_of($0) }
/^static void test_[a-z0-9_]+\($/ {
    printf "%s:%d: a test whose argument stands on another line would not be found\n", FILENAME, FNR > "/dev/stderr"
    exit 1
}
/^static int (setup|teardown)[a-z0-9_]*\(void \*\*/ { fixtures[name_of($0)] = 1 }

function fixture(kind, test,    own) {
    own = kind substr(test, 5)
    return own in fixtures ? own : (kind in fixtures ? kind : "NULL")
}
function once(kind) { return (kind "_all") in fixtures ? kind "_all" : "NULL" }

END {
    printf "#include <setjmp.h>\n#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"
    printf "#include <cmocka.h>\n\n#include \"%s\"\n\nint main(void) {\n", FILENAME
    printf "    const struct CMUnitTest all[] = {\n"
    for (i = 1; i <= count; i++)
        printf "        cmocka_unit_test_setup_teardown(%s, %s, %s),\n", tests[i],
            fixture("setup", tests[i]), fixture("teardown", tests[i])
    printf "    };\n    cmocka_set_message_output(CM_OUTPUT_TAP);\n"
    printf "    return cmocka_run_group_tests_name(\"%s\", all, %s, %s);\n}\n", FILENAME,
        once("setup"), once("teardown")
    if (count == 0) {
        printf "%s:1: no test here: a test is `static void test_<file>__<sentence>(void **state)`\n",
            FILENAME > "/dev/stderr"
        exit 1
    }
}
