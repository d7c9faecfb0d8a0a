// SPDX-License-Identifier: Apache-2.0
#include "pprof/symbol/symbol.c"

#include <string.h>
#include <sys/auxv.h>

#include "base/attributes.h"
#include "tests/unit/pprof/machine.h"

static struct symbol_line lines[SYMBOL_LINES_MOST];
static int inner_line, outer_line;

static inline __attribute__((always_inline)) uintptr_t inner(void) {
    uintptr_t here;
    inner_line = __LINE__ + 1;
    __asm__ volatile(NEXT_ADDRESS : "=r"(here));
    return here - 1;
}

static NOINLINE uintptr_t outer(void) {
    outer_line = __LINE__ + 1;
    return inner();
}

static void test_symbol__inlined_functions_come_first_with_their_own_lines(void **unused) {
    (void)unused;
    assert_int_equal(symbol_resolve(outer(), lines), 2);
    assert_string_equal(lines[0].function, "inner");
    assert_int_equal(lines[0].line, inner_line);
    assert_string_equal(lines[1].function, "outer");
    assert_int_equal(lines[1].line, outer_line);
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(lines[i].file, "tests/unit/pprof/symbol/symbol.c"));
    }
}

// Would catch: names that are right at a function's first byte only.
static void test_symbol__any_byte_of_a_function_names_it(void **unused) {
    (void)unused;
    uintptr_t start = (uintptr_t)outer;
    for (uintptr_t address = start; address <= outer(); address++) {
        size_t count = symbol_resolve(address, lines);
        assert_true(count >= 1);
        assert_string_equal(lines[count - 1].function, "outer");
        assert_int_equal(symbol_start(address), start);
    }
}

static void test_symbol__assembly_is_named_by_the_symbol_table(void **unused) {
    (void)unused;
    void *(*volatile copy)(void *, const void *, size_t) = memmove;
    assert_int_equal(symbol_resolve((uintptr_t)copy, lines), 1);
    assert_non_null(strstr(lines[0].function, "memmove"));
}

// Code without any debug data, as in libraries that were built without.
__asm__(".pushsection .text.bare_code, \"ax\"\n"
        ".type bare_code, @function\n"
        "bare_code: .skip 16\n"
        ".size bare_code, 16\n"
        ".popsection");
void bare_code(void);

static void test_symbol__code_without_debug_data_is_named_by_the_symbol_table(void **unused) {
    (void)unused;
    const struct image *program = &images_get()->list[0];
    const char *slash = strrchr(program->path, '/');
    assert_int_equal(symbol_resolve((uintptr_t)bare_code + 7, lines), 1);
    assert_string_equal(lines[0].function, "bare_code");
    assert_string_equal(lines[0].file, slash + 1);
    assert_int_equal(lines[0].line, 0);
    assert_int_equal(symbol_start((uintptr_t)bare_code + 7), (uintptr_t)bare_code);
}

static void test_symbol__what_is_no_code_has_no_name(void **unused) {
    (void)unused;
    static const char data[] = "not code";
    int local = 0;
    const uintptr_t addresses[] = {0, 1, (uintptr_t)data, (uintptr_t)&local, UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        assert_int_equal(symbol_resolve(addresses[i], lines), 0);
    }
    assert_int_equal(symbol_start(0), 0);
}

static void test_symbol__the_vdso_s_functions_are_named(void **unused) {
    (void)unused;
    const struct images *all = images_get();
    const struct image *vdso = &all->list[all->count - 1];
    if (!vdso->is_vdso) skip();
    size_t named = 0;
    for (uintptr_t at = vdso->text_start; at < vdso->text_end; at++) {
        if (symbol_resolve(at, lines) == 0) continue;
        assert_string_equal(lines[0].file, "[vdso]");
        named += strstr(lines[0].function, "clock_gettime") != NULL;
    }
    assert_true(named > 10);
}

// More frames than there is room for are cut at the outer end.
static void test_symbol__too_many_inlined_frames_are_cut(void **unused) {
    (void)unused;
    struct resolving resolving = {.lines = lines};
    for (int i = 0; i < SYMBOL_LINES_MOST + 5; i++) {
        assert_int_equal(add_line(&resolving, 0, "file", i, "function"), 0);
    }
    assert_int_equal(resolving.count, SYMBOL_LINES_MOST);
    assert_int_equal(lines[SYMBOL_LINES_MOST - 1].line, SYMBOL_LINES_MOST - 1);
}

static void *resolve_often(void *address) {
    struct symbol_line mine[SYMBOL_LINES_MOST];
    for (int i = 0; i < 200; i++) {
        if (symbol_resolve((uintptr_t)address, mine) != 2) return NULL;
        if (strcmp(mine[0].function, "inner") != 0) return NULL;
    }
    return address;
}

static void test_symbol__several_threads_may_ask_at_once(void **unused) {
    (void)unused;
    pthread_t threads[4];
    void *address = (void *)outer();
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, resolve_often, address);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
}
