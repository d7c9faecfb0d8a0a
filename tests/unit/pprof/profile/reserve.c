// SPDX-License-Identifier: Apache-2.0
// A made-up control group: what its files say does not change by itself.
#include "pprof/profile/reserve.c"

#include <string.h>
#include <unistd.h>

#include "tests/unit/emulated.h"

enum { MIB = 1 << 20 };

static void put(const char *file, int64_t number) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "%lld\n", (long long)number);
    fclose(out);
}

// As reserve_start would find it, with so much used.
static void limit_to(int64_t limit, int64_t usage) {
    put("memory.max", limit);
    put("memory.current", usage);
    names = &versions[0];
    reserve_refill();
}

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/extproc-test-XXXXXX", P_tmpdir);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    static const char *const files[] = {"memory.max", "memory.current", "memory.limit_in_bytes"};
    reserve_stop();
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void test_reserve__is_an_eighth_of_the_limit_up_to_a_bound(void **state) {
    (void)state;
    limit_to(32 * MIB, 4 * MIB);
    assert_int_equal(kept_bytes, 4 * MIB);
    limit_to(64 * MIB, 4 * MIB);
    assert_int_equal(kept_bytes, 8 * MIB);
    limit_to(1024 * (int64_t)MIB, 4 * MIB);
    assert_int_equal(kept_bytes, RESERVE_BYTES_MOST);
    // Never less again while there is room.
    limit_to(64 * MIB, 4 * MIB);
    assert_int_equal(kept_bytes, RESERVE_BYTES_MOST);
}

static void test_reserve__is_in_memory(void **state) {
    (void)state;
    SKIP_EMULATED("drops MAP_POPULATE");
    limit_to(64 * MIB, 4 * MIB);
    unsigned char present[8 * MIB / 4096];
    assert_int_equal(mincore(kept, kept_bytes, present), 0);
    for (size_t i = 0; i < COUNT_OF(present); i++) assert_int_equal(present[i] & 1, 1);
}

static void test_reserve__stays_while_there_is_room(void **state) {
    (void)state;
    limit_to(64 * MIB, 4 * MIB);
    assert_true(reserve_make_room(59 * MIB));
    assert_int_equal(kept_bytes, 8 * MIB);
}

static void test_reserve__is_given_up_for_who_needs_room(void **state) {
    (void)state;
    limit_to(64 * MIB, 4 * MIB);
    assert_false(reserve_make_room(60 * MIB));  // the margin is missing
    assert_int_equal(kept_bytes, 0);
    assert_int_equal(reserve_prepare(), STATUS_OK);
    put("memory.current", 64 * MIB - WRITING_BYTES);
    assert_int_equal(reserve_prepare(), STATUS_NO_MEMORY);
}

// Would catch: memory that is charged only when it is written, after others were promised it, too.
static void test_reserve__what_it_maps_is_charged_at_once(void **state) {
    (void)state;
    SKIP_EMULATED("drops MAP_POPULATE");
    limit_to(64 * MIB, 4 * MIB);
    assert_null(reserve_map(60 * MIB));
    void *memory = reserve_map(2 * MIB);
    assert_non_null(memory);
    unsigned char present[2 * MIB / 4096];
    assert_int_equal(mincore(memory, 2 * MIB, present), 0);
    for (size_t i = 0; i < COUNT_OF(present); i++) assert_int_equal(present[i] & 1, 1);
    munmap(memory, 2 * MIB);
}

static unsigned count_present(const uint8_t *data, size_t bytes) {
    unsigned char present[RESERVE_LENT_BYTES_MOST / 4096];
    assert_int_equal(mincore((void *)(uintptr_t)data, bytes, present), 0);
    unsigned count = 0;
    for (size_t i = 0; i < bytes / 4096; i++) count += present[i] & 1;
    return count;
}

// Would catch: room that is promised to several, since the kernel charges what is written only.
static void test_reserve__what_it_lends_is_charged_at_once_and_grows_in_place(void **state) {
    (void)state;
    limit_to(64 * MIB, 4 * MIB);
    uint8_t *data = reserve_resize(NULL, 0, 64);
    assert_non_null(data);
    assert_int_equal(lent_bytes, LENT_STEP_BYTES);
    assert_ptr_equal(reserve_resize(data, 64, LENT_STEP_BYTES), data);
    assert_int_equal(lent_bytes, LENT_STEP_BYTES);
    memset(data, 7, LENT_STEP_BYTES);
    assert_ptr_equal(reserve_resize(data, LENT_STEP_BYTES, 3 * MIB + 1), data);
    assert_int_equal(lent_bytes, 3 * MIB + LENT_STEP_BYTES);
    SKIP_EMULATED("pages of the machine below");
    assert_int_equal(count_present(data, 16 * MIB), (3 * MIB + LENT_STEP_BYTES) / 4096);
    assert_int_equal(data[LENT_STEP_BYTES - 1], 7);
    assert_null(reserve_resize(data, 3 * MIB + 1, 0));
    assert_int_equal(lent_bytes, 0);
}

static void test_reserve__all_readers_together_hold_a_quarter_of_the_limit(void **state) {
    (void)state;
    limit_to(64 * MIB, 4 * MIB);
    void *first = reserve_resize(NULL, 0, 10 * MIB);
    void *second = reserve_resize(NULL, 0, 5 * MIB);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(reserve_resize(NULL, 0, 2 * MIB));
    assert_null(reserve_resize(second, 5 * MIB, 7 * MIB));
    assert_int_equal(lent_bytes, 15 * MIB);  // what was refused is not counted
    assert_ptr_equal(reserve_resize(second, 5 * MIB, 6 * MIB), second);
    reserve_resize(first, 10 * MIB, 0);
    assert_int_equal(lent_bytes, 6 * MIB);
    first = reserve_resize(NULL, 0, 10 * MIB);
    assert_non_null(first);
    reserve_resize(first, 10 * MIB, 0);
    reserve_resize(second, 6 * MIB, 0);
    assert_int_equal(lent_bytes, 0);
}

static void test_reserve__lends_only_what_there_is_room_for(void **state) {
    (void)state;
    limit_to(64 * MIB, 60 * MIB);
    assert_int_equal(kept_bytes, 2 * MIB);
    put("memory.current", 62 * MIB);
    assert_null(reserve_resize(NULL, 0, 2 * MIB));
    assert_int_equal(kept_bytes, 0);  // in vain
    assert_int_equal(lent_bytes, 0);
    void *data = reserve_resize(NULL, 0, 1 * MIB);
    assert_non_null(data);
    reserve_resize(data, 1 * MIB, 0);
}

static void test_reserve__without_a_limit_it_lends_up_to_a_bound(void **state) {
    (void)state;
    names = NULL;
    assert_null(reserve_resize(NULL, 0, SIZE_MAX / 2));
    assert_null(reserve_resize(NULL, 0, RESERVE_LENT_BYTES_MOST + 1));
    void *data = reserve_resize(NULL, 0, RESERVE_LENT_BYTES_MOST);
    assert_non_null(data);
    assert_null(reserve_resize(NULL, 0, 1));
    reserve_resize(data, RESERVE_LENT_BYTES_MOST, 0);
    assert_int_equal(lent_bytes, 0);
}

static void test_reserve__takes_half_of_what_is_left(void **state) {
    (void)state;
    limit_to(64 * MIB, 60 * MIB);
    assert_int_equal(kept_bytes, 2 * MIB);
    put("memory.current", 64 * MIB - LEAST_BYTES);
    assert_false(reserve_make_room(LEAST_BYTES));
    reserve_refill();
    assert_int_equal(kept_bytes, 0);
    put("memory.current", 10 * MIB);
    reserve_refill();
    assert_int_equal(kept_bytes, 8 * MIB);
}

static void test_reserve__a_group_without_a_limit_is_passed_over(void **state) {
    (void)state;
    char group[PATH_MAX];
    memcpy(group, folder, sizeof group);
    put("memory.limit_in_bytes", INT64_C(9223372036854771712));  // version 1's word for it
    assert_true(take_limited(group, NULL));
    put("memory.limit_in_bytes", 64 * MIB);
    assert_false(take_limited(group, NULL));
    assert_ptr_equal(names, &versions[1]);
}

static void test_reserve__without_a_limit_there_is_always_room(void **state) {
    (void)state;
    assert_null(names);
    reserve_refill();
    assert_int_equal(kept_bytes, 0);
    assert_true(reserve_make_room(SIZE_MAX / 2));
    assert_int_equal(reserve_prepare(), STATUS_OK);
}
