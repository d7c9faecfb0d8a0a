// SPDX-License-Identifier: Apache-2.0
// Link: -Wl,--wrap=realloc -Wl,--wrap=mmap -Wl,--wrap=malloc
#include "pprof/profile/encode.c"

#include <sys/mman.h>
#include <unistd.h>

#include "pprof/profile/labels.h"
#include "tests/unit/pprof/machine.h"
#include "tests/unit/pprof/reader.h"

// Allocations that are still granted before one fails; -1: all. Then that one alone, or all.
static long allocations_left = -1;
static bool fails_once;

static bool is_granted(void) {
    if (allocations_left < 0) return true;
    if (allocations_left == 0) {
        if (fails_once) allocations_left = -1;
        return false;
    }
    allocations_left--;
    return true;
}

// The linker's names.
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_realloc(void *old, size_t size) {
    return is_granted() ? __real_realloc(old, size) : NULL;
}

void *__wrap_malloc(size_t size) {
    return is_granted() ? __real_malloc(size) : NULL;
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    return is_granted() ? __real_mmap(at, size, protection, flags, fd, offset) : MAP_FAILED;
}

static struct store store;

static int setup(void **state) {
    (void)state;
    allocations_left = -1;
    store = (struct store){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    allocations_left = -1;
    store_done(&store);
    return 0;
}

static struct profile cpu_profile(void) {
    return (struct profile){
        .sample_types = {{"samples", "count"}, {"cpu", "nanoseconds"}},
        .period_type = {"cpu", "nanoseconds"},
        .period = 10000000,
        .time_wall_ns = INT64_C(1700000000123456789),
        .duration_ns = 5000000001,
        .samples = &store,
    };
}

static void add(const uintptr_t *addresses, uint32_t depth, const char *thread, int64_t count) {
    struct sample_key key = {.addresses = addresses, .depth = depth};
    memcpy(key.thread, thread, strlen(thread));
    const int64_t values[SAMPLE_VALUES] = {count, count * 10000000};
    assert_int_equal(store_add(&store, &key, values), STATUS_OK);
}

static struct reader_profile encode_and_read(const struct profile *profile) {
    struct buffer packed = {0};
    assert_int_equal(profile_encode(profile, &packed), STATUS_OK);
    struct reader_profile read = reader_read(buffer_bytes(&packed));
    buffer_done(&packed);
    return read;
}

// Where the program is while it is in `innermost`, inlined into `middle`, inlined into `outermost`.
static int innermost_line, middle_line, outermost_line;

static inline __attribute__((always_inline)) uintptr_t innermost(void) {
    uintptr_t here;
    innermost_line = __LINE__ + 1;
    __asm__ volatile(NEXT_ADDRESS : "=r"(here));
    return here - 1;  // the last byte of that instruction
}

static inline __attribute__((always_inline)) uintptr_t middle(void) {
    middle_line = __LINE__ + 1;
    return innermost();
}

static NOINLINE uintptr_t outermost(void) {
    outermost_line = __LINE__ + 1;
    return middle();
}

static const struct reader_mapping *program_of(const struct reader_profile *read) {
    assert_in_range(read->mapping_count, 1, 64);
    return &read->mappings[0];
}

static void check_program(const struct reader_mapping *program) {
    char path[4096] = {0};
    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    assert_string_equal(program->file, path);
    assert_true(strlen(program->build_id) >= 32);
    assert_int_equal(strspn(program->build_id, "0123456789abcdef"), strlen(program->build_id));
    assert_in_range((uintptr_t)outermost, program->start, program->limit - 1);
    assert_int_equal(program->start % 4096, 0);
    assert_int_equal(program->offset % 4096, 0);
}

static void test_encode__a_profile_without_samples_is_valid(void **state) {
    (void)state;
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    assert_int_equal(read.sample_count, 0);
    assert_int_equal(read.location_count, 0);
    assert_int_equal(read.type_count, 2);
    check_program(program_of(&read));
    reader_done(&read);
}

static void test_encode__types_times_and_period_are_what_was_given(void **state) {
    (void)state;
    struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    assert_string_equal(read.types[0].type, "samples");
    assert_string_equal(read.types[0].unit, "count");
    assert_string_equal(read.types[1].type, "cpu");
    assert_string_equal(read.types[1].unit, "nanoseconds");
    assert_string_equal(read.period_type.type, "cpu");
    assert_string_equal(read.period_type.unit, "nanoseconds");
    assert_int_equal(read.period, 10000000);
    assert_true(read.time_ns == INT64_C(1700000000123456789));
    assert_true(read.duration_ns == INT64_C(5000000001));
    assert_null(read.default_type);
    reader_done(&read);

    profile.default_sample_type = "samples";
    read = encode_and_read(&profile);
    assert_string_equal(read.default_type, "samples");
    reader_done(&read);
}

static void test_encode__four_values_each_where_there_are_four_types(void **state) {
    (void)state;
    struct profile profile = cpu_profile();
    profile.sample_types[2] = (struct profile_type){"inuse_objects", "count"};
    profile.sample_types[3] = (struct profile_type){"inuse_space", "bytes"};
    const uintptr_t address = outermost();
    struct sample_key key = {.addresses = &address, .depth = 1};
    static const int64_t values[SAMPLE_VALUES] = {0, -5, INT64_MAX, INT64_MIN};
    assert_int_equal(store_add(&store, &key, values), STATUS_OK);
    struct reader_profile read = encode_and_read(&profile);
    assert_int_equal(read.type_count, 4);
    for (int i = 0; i < 4; i++) assert_true(read.samples[0].values[i] == values[i]);
    reader_done(&read);
}

// Would catch: a frame order turned round, a name, file or line lost or of the next instruction.
static void test_encode__inlined_frames_come_innermost_first_with_file_and_line(void **state) {
    (void)state;
    const uintptr_t address = outermost();
    add(&address, 1, "", 7);
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    assert_int_equal(read.sample_count, 1);
    assert_int_equal(read.samples[0].values[0], 7);
    assert_int_equal(read.samples[0].values[1], 70000000);
    const struct reader_location *location = reader_frame(&read, &read.samples[0], 0);
    assert_int_equal(location->address, address);
    assert_int_equal(location->mapping, 1);
    static const char *const names[] = {"innermost", "middle", "outermost"};
    const int lines[] = {innermost_line, middle_line, outermost_line};
    assert_int_equal(location->line_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct reader_function *function = reader_function(&read, location, i);
        assert_string_equal(function->name, names[i]);
        assert_int_equal(location->lines[i].line, lines[i]);
        assert_non_null(strstr(function->file, "tests/unit/pprof/profile/encode.c"));
    }
    check_program(program_of(&read));
    assert_true(program_of(&read)->has_functions);
    reader_done(&read);
}

static void test_encode__locations_and_functions_are_shared_between_samples(void **state) {
    (void)state;
    const uintptr_t address = outermost();
    const uintptr_t two[] = {address, address - 1};
    const uintptr_t turned[] = {address - 1, address};
    add(two, 2, "", 1);
    add(turned, 2, "", 2);
    add(two, 1, "", 3);
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    assert_int_equal(read.sample_count, 3);
    assert_int_equal(read.location_count, 2);
    assert_int_equal(read.function_count, 3);
    assert_int_equal(reader_frame(&read, &read.samples[0], 0)->address, address);
    assert_int_equal(reader_frame(&read, &read.samples[0], 1)->address, address - 1);
    assert_int_equal(reader_frame(&read, &read.samples[1], 0)->address, address - 1);
    assert_int_equal(read.samples[2].location_count, 1);
    reader_done(&read);
}

static void test_encode__the_threads_name_is_a_label_where_there_is_one(void **state) {
    (void)state;
    const uintptr_t address = outermost();
    add(&address, 1, "", 1);
    add(&address, 1, "worker \xc3\xa9/1", 2);
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    assert_int_equal(read.samples[0].label_count, 0);
    assert_int_equal(read.samples[1].label_count, 1);
    assert_string_equal(read.samples[1].labels[0].key, "thread");
    assert_string_equal(read.samples[1].labels[0].text, "worker \xc3\xa9/1");
    reader_done(&read);
}

static struct reader_label label_of(const struct reader_sample *sample, const char *key) {
    for (size_t i = 0; i < sample->label_count; i++) {
        if (strcmp(sample->labels[i].key, key) == 0) return sample->labels[i];
    }
    return (struct reader_label){"", "(there is none)", -1};
}

static void test_encode__state_label_set_and_size_are_labels_too(void **state) {
    (void)state;
    static const struct label_set set = {{{"model", "a \"b\""}, {"route", "x/y"}}};
    const uintptr_t address = outermost();
    struct sample_key key = {.addresses = &address,
                             .depth = 1,
                             .labels = labels_intern(&set),
                             .state = "IO wait",
                             .size_bytes = 4096,
                             .thread = "t"};
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){1}), STATUS_OK);
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    const struct reader_sample *sample = &read.samples[0];
    assert_int_equal(sample->label_count, 5);
    assert_string_equal(label_of(sample, "model").text, "a \"b\"");
    assert_string_equal(label_of(sample, "route").text, "x/y");
    assert_string_equal(label_of(sample, "state").text, "IO wait");
    assert_string_equal(label_of(sample, "thread").text, "t");
    assert_int_equal(label_of(sample, "bytes").number, 4096);
    reader_done(&read);
}

// Frames of a program's own profile: no addresses, only names.
static void test_encode__frames_may_be_names(void **state) {
    (void)state;
    const char *const names[] = {"inner", "outer"};
    struct sample_key key = {.addresses = (const uintptr_t *)names, .depth = 2, .has_names = true};
    assert_int_equal(store_add(&store, &key, (const int64_t[SAMPLE_VALUES]){1}), STATUS_OK);
    const uintptr_t address = outermost();
    add(&address, 1, "", 1);
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    for (size_t i = 0; i < 2; i++) {
        const struct reader_location *location = reader_frame(&read, &read.samples[0], i);
        assert_int_equal(location->address, 0);
        assert_int_equal(location->mapping, 0);
        assert_int_equal(location->line_count, 1);
        assert_string_equal(reader_function(&read, location, 0)->name, names[i]);
    }
    assert_true(program_of(&read)->has_functions);
    reader_done(&read);
}

static void test_encode__each_line_of_the_comments_is_a_comment(void **state) {
    (void)state;
    struct profile profile = cpu_profile();
    profile.comments = BYTES_LITERAL("one a=b\ntwo\n\nno end");
    struct reader_profile read = encode_and_read(&profile);
    assert_int_equal(read.comment_count, 4);
    assert_string_equal(read.comments[0], "one a=b");
    assert_string_equal(read.comments[1], "two");
    assert_string_equal(read.comments[2], "");
    assert_string_equal(read.comments[3], "no end");
    reader_done(&read);
    char many[200] = {0};
    memset(many, '\n', sizeof many - 1);
    profile.comments = bytes_of_text(many);
    read = encode_and_read(&profile);
    assert_int_equal(read.comment_count, COMMENTS_MOST);
    reader_done(&read);
}

// Would catch: one unnamed address that takes the names from all others, or has_functions set in
// spite of it (pprof then would not look for a better name).
static void test_encode__an_address_without_a_name_stays_a_number(void **state) {
    (void)state;
    const struct image *program = &images_get()->list[0];
    const uintptr_t outside = 0x10;
    const uintptr_t stack[] = {outside, program->text_end - 1, outermost()};
    add(stack, 3, "", 1);
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    const struct reader_location *leaf = reader_frame(&read, &read.samples[0], 0);
    assert_int_equal(leaf->mapping, 0);
    assert_int_equal(leaf->line_count, 0);
    assert_int_equal(leaf->address, outside);
    const struct reader_location *unnamed = reader_frame(&read, &read.samples[0], 1);
    assert_int_equal(unnamed->mapping, 1);
    assert_int_equal(program_of(&read)->has_functions, unnamed->line_count != 0);
    assert_int_equal(reader_frame(&read, &read.samples[0], 2)->line_count, 3);
    reader_done(&read);
}

// Would catch: more than one flush of the profile's fields losing or doubling some.
static void test_encode__many_deep_stacks_come_out_whole(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    uintptr_t stack[STACK_DEPTH];
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < STACK_DEPTH; k++) stack[k] = 16 + (i * 31 + k * 7) % 5000;
        stack[0] = 16 + i;
        add(stack, STACK_DEPTH, "", (int64_t)i + 1);
    }
    const struct profile profile = cpu_profile();
    struct reader_profile read = encode_and_read(&profile);
    assert_int_equal(read.sample_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(read.samples[i].values[0], i + 1);
        assert_int_equal(read.samples[i].location_count, STACK_DEPTH);
        assert_int_equal(reader_frame(&read, &read.samples[i], 0)->address, 16 + i);
        assert_int_equal(reader_frame(&read, &read.samples[i], 100)->address,
                         16 + (i * 31 + 700) % 5000);
    }
    reader_done(&read);
}

static void test_encode__the_buffers_limit_is_told(void **state) {
    (void)state;
    const struct profile profile = cpu_profile();
    struct buffer packed = {.limit = 10};
    assert_int_equal(profile_encode(&profile, &packed), STATUS_TOO_LARGE);
    buffer_done(&packed);
}

// Encodes with so many allocations granted. What is called whole is whole.
static enum status encode_with(const struct profile *profile, long granted) {
    struct buffer packed = {0};
    allocations_left = granted;
    enum status status = profile_encode(profile, &packed);
    allocations_left = -1;
    if (status == STATUS_OK) {
        struct reader_profile read = reader_read(buffer_bytes(&packed));
        assert_int_equal(read.sample_count, 2);
        assert_int_equal(reader_frame(&read, &read.samples[0], 0)->line_count, 3);
        reader_done(&read);
    }
    buffer_done(&packed);
    return status;
}

// Fails the 1st, 2nd, 3rd … allocation and all that follow, until one run needs no more; then each
// of them alone. Each failure is told, and none leaves memory behind (AddressSanitizer looks for
// that).
static void test_encode__every_failed_allocation_is_told(void **state) {
    (void)state;
    const uintptr_t address = outermost();
    const uintptr_t stack[] = {address, address - 1, 0x10};
    add(stack, 3, "a", 1);
    add(stack, 2, "b", 1);
    const struct profile profile = cpu_profile();
    struct reader_profile warm = encode_and_read(&profile);  // names are read once
    reader_done(&warm);
    long granted = 0;
    fails_once = false;
    while (encode_with(&profile, granted) == STATUS_NO_MEMORY) granted++;
    assert_in_range(granted, 10, 1000);
    fails_once = true;
    for (long i = 0; i < granted; i++) {
        // The allocator may find another way when the system refuses it once.
        enum status status = encode_with(&profile, i);
        assert_true(status == STATUS_NO_MEMORY || status == STATUS_OK);
    }
}
