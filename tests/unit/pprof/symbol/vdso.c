// SPDX-License-Identifier: Apache-2.0
#include "pprof/symbol/vdso.c"

#include <string.h>

#include "base/attributes.h"

// An image in memory: symbols, then their names, as the linker lays them out.
static struct {
    ElfW(Sym) symbols[4];
    char texts[64];
    ElfW(Dyn) dynamic[4];
} made;
static struct image image;

static int setup(void **state) {
    (void)state;
    memset(&made, 0, sizeof made);
    memcpy(made.texts, "\0first\0second", 14);
    made.symbols[1] = (ElfW(Sym)){
        .st_name = 1, .st_info = STT_FUNC, .st_shndx = 5, .st_value = 0x100, .st_size = 0x10};
    made.symbols[2] = (ElfW(Sym)){.st_name = 7,
                                  .st_info = STB_WEAK << 4 | STT_FUNC,
                                  .st_shndx = 5,
                                  .st_value = 0x120,
                                  .st_size = 0x20};
    made.symbols[3] = (ElfW(Sym)){
        .st_name = 1, .st_info = STT_OBJECT, .st_shndx = 5, .st_value = 0x200, .st_size = 0x10};
    uintptr_t base = (uintptr_t)&made;
    made.dynamic[0] = (ElfW(Dyn)){.d_tag = DT_STRTAB, .d_un.d_ptr = (uintptr_t)made.texts - base};
    made.dynamic[1] = (ElfW(Dyn)){.d_tag = DT_SYMTAB, .d_un.d_ptr = 0};
    image = (struct image){.load_base = base, .dynamic = made.dynamic};
    return 0;
}

static const char *find(uintptr_t offset) {
    return vdso_find_function(&image, image.load_base + offset);
}

static void test_vdso__an_address_in_a_function_names_it(void **state) {
    (void)state;
    assert_string_equal(find(0x100), "first");
    assert_string_equal(find(0x10f), "first");
    assert_string_equal(find(0x120), "second");
    assert_string_equal(find(0x13f), "second");
}

static void test_vdso__gaps_and_other_symbols_are_not_functions(void **state) {
    (void)state;
    static const uintptr_t offsets[] = {0, 0xff, 0x110, 0x11f, 0x140, 0x200};
    for (size_t i = 0; i < COUNT_OF(offsets); i++) assert_null(find(offsets[i]));
    made.symbols[1].st_shndx = SHN_UNDEF;
    assert_null(find(0x100));
}

static void test_vdso__an_image_without_tables_names_nothing(void **state) {
    (void)state;
    made.dynamic[1].d_tag = DT_HASH;
    assert_null(find(0x100));
    setup(NULL);
    made.dynamic[0].d_tag = DT_HASH;
    assert_null(find(0x100));
    made.dynamic[0].d_tag = DT_NULL;
    assert_null(find(0x100));
    image.dynamic = NULL;
    assert_null(find(0x100));
}
