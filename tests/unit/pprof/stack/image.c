// SPDX-License-Identifier: Apache-2.0
#include "pprof/stack/image.c"

#include <stdlib.h>

#include "base/attributes.h"

static const char constant[] = "not code";

static void test_image__the_program_comes_first(void **state) {
    (void)state;
    const struct images *all = images_get();
    assert_in_range(all->count, 1, IMAGES_MOST);
    const struct image *program = &all->list[0];
    char path[4096] = {0};
    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    assert_string_equal(program->path, path);
    assert_false(program->is_vdso);
    assert_in_range((uintptr_t)images_get, program->text_start, program->text_end - 1);
    assert_non_null(program->cfi.eh_frame_hdr);
    assert_in_range((uintptr_t)program->cfi.eh_frame_hdr, program->cfi.start, program->cfi.end - 1);
    assert_ptr_equal(images_get(), all);
}

// The numbers of /proc/self/maps are the kernel's own.
static void test_image__the_text_is_where_the_kernel_says(void **state) {
    (void)state;
    const struct image *program = &images_get()->list[0];
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    char line[4096];
    bool is_found = false;
    while (fgets(line, sizeof line, maps) != NULL) {
        char *rest;
        uintptr_t start = strtoul(line, &rest, 16);
        uintptr_t end = strtoul(rest + 1, &rest, 16);
        bool is_executable = rest[3] == 'x';
        uint64_t offset = strtoul(rest + 6, NULL, 16);
        if (!is_executable || start != program->text_start) continue;
        is_found = true;
        assert_int_equal(end, program->text_end);
        assert_int_equal(offset, program->text_offset);
    }
    fclose(maps);
    assert_true(is_found);
}

static void test_image__the_build_id_is_20_bytes_in_hex(void **state) {
    (void)state;
    const char *id = images_get()->list[0].build_id;
    assert_int_equal(strlen(id), 40);
    assert_int_equal(strspn(id, "0123456789abcdef"), 40);
}

static void test_image__the_vdso_is_listed_once_and_last(void **state) {
    (void)state;
    const struct images *all = images_get();
    uintptr_t start = (uintptr_t)getauxval(AT_SYSINFO_EHDR);
    if (start == 0) skip();
    const struct image *last = &all->list[all->count - 1];
    assert_true(last->is_vdso);
    assert_string_equal(last->path, "[vdso]");
    assert_non_null(last->dynamic);
    assert_int_equal(last->cfi.start, start);
    for (size_t i = 0; i + 1 < all->count; i++) {
        assert_false(all->list[i].is_vdso);
        assert_int_not_equal(all->list[i].cfi.start, start);
    }
}

static void test_image__only_code_is_found(void **state) {
    (void)state;
    const struct image *program = &images_get()->list[0];
    assert_ptr_equal(images_find((uintptr_t)images_find), program);
    assert_ptr_equal(images_find(program->text_start), program);
    assert_ptr_equal(images_find(program->text_end - 1), program);
    assert_ptr_not_equal(images_find(program->text_end), program);
    assert_ptr_not_equal(images_find(program->text_start - 1), program);
    int local = 0;
    assert_null(images_find((uintptr_t)&local));
    assert_null(images_find((uintptr_t)constant));
    assert_null(images_find(0));
    assert_null(images_find(UINTPTR_MAX));
}

static uint8_t notes[256];
static size_t notes_size;

static void add_note(uint32_t type, const char *name, uint32_t name_size, uint32_t content_size,
                     const void *content) {
    const uint32_t head[] = {name_size, content_size, type};
    memcpy(notes + notes_size, head, sizeof head);
    notes_size += sizeof head;
    memcpy(notes + notes_size, name, strlen(name) + 1);
    notes_size += (strlen(name) + 1 + 3) / 4 * 4;
    memcpy(notes + notes_size, content, strlen(content));
    notes_size += (strlen(content) + 3) / 4 * 4;
}

static int setup(void **state) {
    (void)state;
    memset(notes, 0, sizeof notes);
    notes_size = 0;
    return 0;
}

// In memory of its own size, so that AddressSanitizer sees what lies behind it.
static const char *build_id_of(size_t size) {
    static struct image image;
    image = (struct image){0};
    uint8_t *exact = malloc(size + 1);
    assert_non_null(exact);
    memcpy(exact, notes, size);
    uint8_t *start = realloc(exact, size != 0 ? size : 1);
    read_build_id(&image, start, size);
    free(start);
    return image.build_id;
}

static void test_image__the_build_id_is_found_among_other_notes(void **state) {
    (void)state;
    add_note(5, "GNU", 4, 2, "zz");
    add_note(NT_GNU_BUILD_ID, "Go", 3, 4, "nope");
    add_note(NT_GNU_BUILD_ID, "GNU", 4, 5, "\x01\xab\x10\xff\x7f");
    add_note(NT_GNU_BUILD_ID, "GNU", 4, 4, "late");
    assert_string_equal(build_id_of(notes_size), "01ab10ff7f");
}

// Would catch: a read behind the segment, for any cut and for sizes that wrap around.
static void test_image__broken_notes_give_no_build_id(void **state) {
    (void)state;
    add_note(5, "GNU", 4, 2, "zz");
    size_t before = notes_size;
    add_note(NT_GNU_BUILD_ID, "GNU", 4, 8, "\x01\x02\x03\x04\x05\x06\x07\x08");
    for (size_t size = 0; size < notes_size; size++) assert_string_equal(build_id_of(size), "");
    static const uint32_t huge[] = {UINT32_MAX, UINT32_MAX - 2, 1u << 31, 4096};
    for (size_t i = 0; i < COUNT_OF(huge); i++) {
        memcpy(notes + before + 4, &huge[i], 4);
        assert_string_equal(build_id_of(notes_size), "");
        memcpy(notes + 4, &huge[i], 4);
        assert_string_equal(build_id_of(notes_size), "");
        memcpy(notes + 4, &(uint32_t){2}, 4);
    }
}

static void test_image__a_build_id_longer_than_the_text_is_cut(void **state) {
    (void)state;
    char content[101] = {0};
    memset(content, 0xcd, 100);
    add_note(NT_GNU_BUILD_ID, "GNU", 4, 100, content);
    const char *id = build_id_of(notes_size);
    assert_int_equal(strlen(id), BUILD_ID_TEXT_BYTES - 1);
    assert_int_equal(strspn(id, "cd"), BUILD_ID_TEXT_BYTES - 1);
}
