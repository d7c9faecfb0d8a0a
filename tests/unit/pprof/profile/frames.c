// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/frames.c"

#include <string.h>

static NOINLINE void named_function(void) {
    __asm__ volatile("nop\nnop\nnop");
}

static void test_frames__an_address_has_function_file_and_line(void **state) {
    (void)state;
    const uintptr_t addresses[] = {0x10, (uintptr_t)named_function + 1};
    const struct sample_key key = {.addresses = addresses, .depth = 2};
    struct frame frame;
    frame_read(&key, 1, &frame);
    assert_int_equal(frame.line_count, 1);
    assert_string_equal(frame.lines[0].function, "named_function");
    assert_non_null(strstr(frame.lines[0].file, "tests/unit/pprof/profile/frames.c"));
    assert_true(frame.lines[0].line > 0);
}

static void test_frames__an_unknown_address_reads_as_itself(void **state) {
    (void)state;
    const uintptr_t address = UINTPTR_MAX;
    const struct sample_key key = {.addresses = &address, .depth = 1};
    struct frame frame;
    frame_read(&key, 0, &frame);
    assert_int_equal(frame.line_count, 1);
    assert_string_equal(frame.lines[0].function, "0xffffffffffffffff");
    assert_string_equal(frame.lines[0].file, "");
}

static void test_frames__a_name_stands_for_itself(void **state) {
    (void)state;
    const char *const names[] = {"inner", "outer"};
    const struct sample_key key = {
        .addresses = (const uintptr_t *)names, .depth = 2, .has_names = true};
    struct frame frame;
    frame_read(&key, 1, &frame);
    assert_int_equal(frame.line_count, 1);
    assert_string_equal(frame.lines[0].function, "outer");
}
